import { texts } from '../../texts.js';

/** The name of an event type. A feature's type without a name in the texts is shown in its own words. */
export function eventName(type: string): string {
  return (texts.events.types as Record<string, string>)[type] ?? sentence(type.replaceAll('_', ' '));
}

/** The name of a detail: `newDevice` is shown as "New device". */
export function detailName(key: string): string {
  return sentence(key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`));
}

const sentence = (words: string): string => words.charAt(0).toUpperCase() + words.slice(1);
