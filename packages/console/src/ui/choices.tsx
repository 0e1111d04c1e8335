import { useId } from 'preact/hooks';

interface SelectProps {
  label: string;
  name: string;
  /** Values and their texts. */
  options: (readonly [value: string, text: string])[];
  value?: string;
  onChange?: (value: string) => void;
}

export function Select({ label, name, options, value, onChange }: SelectProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} name={name} value={value} onChange={(event) => onChange?.(event.currentTarget.value)}>
        {options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}

interface Choice {
  value: string;
  text: string;
  hint?: string;
}

interface CheckListProps {
  legend: string;
  /** Prefix of the names of the boxes, for {@link checkedOf}. */
  name: string;
  choices: Choice[];
  checked?: string[];
}

export function CheckList({ legend, name, choices, checked = [] }: CheckListProps) {
  return (
    <fieldset>
      <legend>{legend}</legend>
      {choices.map(({ value, text, hint }) => (
        <label key={value} class="check">
          <input type="checkbox" name={`${name}:${value}`} defaultChecked={checked.includes(value)} />
          <span>
            {text}
            {hint && <small>{hint}</small>}
          </span>
        </label>
      ))}
    </fieldset>
  );
}

/** The checked choices of a {@link CheckList}, from the values of its form. */
export function checkedOf(values: Record<string, string>, name: string): string[] {
  const prefix = `${name}:`;
  return Object.keys(values).flatMap((key) => (key.startsWith(prefix) ? key.slice(prefix.length) : []));
}
