import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { texts } from '../texts.js';
import { Button, Field, Form } from './controls.js';
import { useAction } from './use-action.js';

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
}

/** A modal dialog. The browser keeps the focus in it, and closes it on Escape. */
export function Dialog({ title, onClose, children }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    const opener = document.activeElement as HTMLElement | null;
    ref.current?.showModal();
    // The browser returns the focus only if the dialog closes before Preact removes it.
    return () => opener?.focus();
  }, []);
  return (
    <dialog ref={ref} aria-labelledby={titleId} onClose={onClose}>
      <h2 id={titleId}>{title}</h2>
      {children}
    </dialog>
  );
}

interface ConfirmButtonProps {
  /** The text of the button, and the title of the dialog. */
  title: string;
  label?: string;
  /** What will happen, in a sentence. */
  children: ComponentChildren;
  /** The user must type this text first. */
  typed?: string;
  act: () => Promise<unknown>;
}

/** A button for an action that cannot be undone: it asks first. */
export function ConfirmButton({ title, label, children, typed, act }: ConfirmButtonProps) {
  const [isOpen, setOpen] = useState(false);
  const [text, setText] = useState('');
  const close = () => {
    setOpen(false);
    setText('');
    action.clear();
  };
  const action = useAction<[Record<string, string>]>(async () => {
    await act();
    close();
  });
  return (
    <>
      <Button kind="danger" label={label} onClick={() => setOpen(true)}>
        {title}
      </Button>
      {isOpen && (
        <Dialog title={title} onClose={close}>
          <p>{children}</p>
          <Form
            action={action}
            submit={title}
            kind="danger"
            beside={<Button onClick={close}>{texts.common.cancel}</Button>}
          >
            {typed && (
              <Field
                label={texts.common.typeToConfirm(typed)}
                name="typed"
                required
                pattern={literal(typed)}
                autocomplete="off"
                value={text}
                onInput={(event) => setText(event.currentTarget.value)}
              />
            )}
          </Form>
        </Dialog>
      )}
    </>
  );
}

/** A pattern that matches only this text. */
const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
