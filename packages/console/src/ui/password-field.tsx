import { useState } from 'preact/hooks';
import { configuration } from '../configuration.js';
import { texts } from '../texts.js';
import { Button, Field } from './controls.js';

interface PasswordFieldProps {
  label: string;
  name: string;
  autocomplete: 'current-password' | 'new-password';
  autofocus?: boolean;
  value?: string;
  onInput?: (event: { currentTarget: HTMLInputElement }) => void;
}

/** A password that the user can make visible, which replaces typing it twice. */
export function PasswordField(props: PasswordFieldProps) {
  const [isVisible, setVisible] = useState(false);
  const { show, hide, label, newHint } = texts.password;
  const isNew = props.autocomplete === 'new-password';
  return (
    <Field
      {...props}
      type={isVisible ? 'text' : 'password'}
      required
      maxLength={256}
      spellcheck={false}
      hint={isNew ? newHint(configuration.passwordMinLength) : undefined}
      beside={
        <Button label={label(props.label, isVisible)} onClick={() => setVisible(!isVisible)}>
          {isVisible ? hide : show}
        </Button>
      }
    />
  );
}
