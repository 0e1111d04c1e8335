import { useState } from 'preact/hooks';
import { texts } from '../texts.js';
import { Button, Field, Form } from './controls.js';
import { Dialog } from './dialog.js';
import { useAction } from './use-action.js';

interface RenameButtonProps {
  /** The title of the dialog. */
  title: string;
  /** Names what is renamed, for screen readers. */
  label: string;
  name: string;
  rename: (name: string) => Promise<unknown>;
}

/** A button that asks for a new name in a dialog. */
export function RenameButton({ title, label, name, rename }: RenameButtonProps) {
  const [isOpen, setOpen] = useState(false);
  const t = texts.rename;
  const close = () => {
    setOpen(false);
    action.clear();
  };
  const action = useAction<[Record<string, string>]>(async ({ name }) => {
    await rename(name!);
    close();
  });
  return (
    <>
      <Button label={label} onClick={() => setOpen(true)}>
        {t.button}
      </Button>
      {isOpen && (
        <Dialog title={title} onClose={close}>
          <Form
            action={action}
            submit={t.save}
            beside={<Button onClick={close}>{texts.common.cancel}</Button>}
          >
            <Field
              label={t.name}
              name="name"
              required
              maxLength={100}
              autocomplete="off"
              defaultValue={name}
              autofocus
            />
          </Form>
        </Dialog>
      )}
    </>
  );
}
