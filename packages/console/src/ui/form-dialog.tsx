import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { texts } from '../texts.js';
import { Button, Form } from './controls.js';
import { Dialog } from './dialog.js';
import { useAction } from './use-action.js';

interface FormDialogProps {
  /** The text of the button, of the button that submits, and the title of the dialog. */
  title: string;
  /** For buttons whose text does not say what they act on. */
  label?: string;
  /** Of the button that submits. */
  kind?: 'primary' | 'danger';
  /** Of the button that opens the dialog. */
  opener?: 'plain' | 'primary' | 'danger';
  /** What will happen, in a sentence. */
  lead?: string;
  act: (values: Record<string, string>) => Promise<unknown>;
  /** The fields. */
  children: ComponentChildren;
}

/** A button for an action that needs values: they are asked for in a dialog. */
export function FormDialog({
  title,
  label,
  kind = 'primary',
  opener = kind,
  lead,
  act,
  children,
}: FormDialogProps) {
  const [isOpen, setOpen] = useState(false);
  const close = () => {
    setOpen(false);
    action.clear();
  };
  const action = useAction<[Record<string, string>]>(async (values) => {
    await act(values);
    close();
  });
  return (
    <>
      <Button kind={opener} label={label} onClick={() => setOpen(true)}>
        {title}
      </Button>
      {isOpen && (
        <Dialog title={label ?? title} onClose={close}>
          {lead && <p>{lead}</p>}
          <Form
            action={action}
            submit={title}
            kind={kind}
            beside={<Button onClick={close}>{texts.common.cancel}</Button>}
          >
            {children}
          </Form>
        </Dialog>
      )}
    </>
  );
}
