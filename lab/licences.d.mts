export interface Licence {
  name: string;
  version: string;
  licence: string;
}

export function licencesOf(lock: {
  packages: Record<string, { version?: string; license?: string; dev?: boolean; link?: boolean }>;
}): Licence[];
export function isAllowed(licence: string): boolean;
