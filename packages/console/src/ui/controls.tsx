import { ApiProblem } from '@drawbridge/client';
import { createContext, type ComponentChildren } from 'preact';
import { useContext, useEffect, useId, useRef } from 'preact/hooks';
import { texts } from '../texts.js';
import { ErrorNotice } from './notices.js';
import type { Action } from './use-action.js';

interface ButtonProps {
  kind?: 'plain' | 'primary' | 'danger';
  type?: 'button' | 'submit';
  isBusy?: boolean;
  disabled?: boolean;
  /** For buttons whose text does not say what they act on: "End the session of Chrome on Linux". */
  label?: string;
  onClick?: () => unknown;
  children: ComponentChildren;
}

export function Button({
  kind = 'plain',
  type = 'button',
  isBusy,
  disabled,
  label,
  onClick,
  children,
}: ButtonProps) {
  return (
    <button
      type={type}
      class={kind}
      disabled={disabled || isBusy}
      aria-busy={isBusy}
      aria-label={label}
      onClick={() => void onClick?.()}
    >
      {children}
    </button>
  );
}

interface FieldProps {
  label: string;
  hint?: string;
  /** A button at the end of the input. */
  beside?: ComponentChildren;
  name: string;
  type?: 'text' | 'email' | 'password' | 'number' | 'date' | 'datetime-local' | 'search';
  required?: boolean;
  autocomplete?: string;
  autofocus?: boolean;
  inputMode?: 'numeric' | 'email' | 'text';
  pattern?: string;
  min?: number | string;
  max?: number | string;
  minLength?: number;
  maxLength?: number;
  placeholder?: string;
  defaultValue?: string;
  spellcheck?: boolean;
  value?: string;
  onInput?: (event: { currentTarget: HTMLInputElement }) => void;
}

/** What the server says about the fields of a form, by their names. */
const FieldErrors = createContext<Readonly<Record<string, string>>>({});

/**
 * A labelled input. Its `name` is the key in the values that {@link Form} passes on. If the server refuses the value,
 * the reason is shown beside it.
 */
export function Field({ label, hint, beside, ...input }: FieldProps) {
  const id = useId();
  const ref = useRef<HTMLInputElement>(null);
  // The browser heeds `autofocus` only when a document or a dialog opens.
  useEffect(() => {
    if (input.autofocus) ref.current?.focus();
  }, []);
  const error = useContext(FieldErrors)[input.name];
  const notes = [error && `${id}-error`, hint && `${id}-hint`].filter(Boolean).join(' ');
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class="input">
        <input
          ref={ref}
          id={id}
          aria-describedby={notes || undefined}
          aria-invalid={error ? true : undefined}
          {...(input as object)}
        />
        {beside}
      </div>
      {error && (
        <small id={`${id}-error`} class="error">
          {label} {error}
        </small>
      )}
      {hint && <small id={`${id}-hint`}>{hint}</small>}
    </div>
  );
}

interface FormProps {
  action: Action<[Record<string, string>]>;
  submit: string;
  kind?: ButtonProps['kind'];
  /** Buttons beside the one that submits. */
  beside?: ComponentChildren;
  children?: ComponentChildren;
}

/** Passes the values of its fields to the action, and shows the action's error. */
export function Form({ action, submit, kind = 'primary', beside, children }: FormProps) {
  const ref = useRef<HTMLFormElement>(null);
  const names = useRef<ReadonlySet<string>>(new Set());
  const { error } = action;
  const onSubmit = (event: SubmitEvent) => {
    event.preventDefault();
    const values = [...new FormData(event.currentTarget as HTMLFormElement)];
    names.current = new Set(values.map(([name]) => name));
    void action.run(Object.fromEntries(values.map(([name, value]) => [name, String(value)])));
  };
  useEffect(() => {
    if (error) ref.current?.querySelector<HTMLElement>('[aria-invalid]')?.focus();
  }, [error]);
  return (
    <form ref={ref} onSubmit={onSubmit}>
      <FieldErrors.Provider value={fieldErrorsOf(error)}>{children}</FieldErrors.Provider>
      <ErrorNotice error={error} fields={names.current} />
      <div class="actions">
        <Button type="submit" kind={kind} isBusy={action.isRunning}>
          {action.isRunning ? texts.common.working : submit}
        </Button>
        {beside}
      </div>
    </form>
  );
}

function fieldErrorsOf(error: unknown): Record<string, string> {
  const errors = error instanceof ApiProblem ? (error.problem.errors ?? []) : [];
  return Object.fromEntries(errors.map(({ path, message }) => [path, message]));
}
