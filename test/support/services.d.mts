export interface Service {
  url: string;
  /** The origin of the server, for humans. */
  origin: string;
  stop(): Promise<void>;
}

export interface Server extends Service {
  /** Changes with each restart(). */
  readonly pid: number;
  /** An orderly end; restart() brings it back. Everything is removed when the test process ends. */
  stop(): Promise<void>;
  /** A crash: SIGKILL for the server and all of its processes. */
  kill(): Promise<void>;
  /** Accepts connections and never answers, like a machine that hangs. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Starts it again on the same port with its data; ends it first when it is running. */
  restart(): Promise<void>;
}

export const NO_REDIS: string;
export function findServices(): Promise<{ postgres: Service; redis: Service | null }>;
/** In PEM. */
export interface Certificate {
  key: string;
  certificate: string;
}

export function startPostgres(options?: {
  binaries?: 'installed' | 'embedded';
  tls?: Certificate;
  /** The URL of the primary whose streaming standby it is. */
  standbyOf?: string;
}): Promise<Server>;
export function startRedis(options?: {
  args?: string[];
  argsOf?(port: number): string[];
  tls?: Certificate & { port: number };
}): Promise<Server | null>;
/** Whether `startPostgres` can start a standby: only an installed PostgreSQL can have one. */
export function canCopyPostgres(): boolean;
/** Null when it is not installed. */
export function startPgBouncer(
  database: string,
  settings: Record<string, string | number>,
): Promise<Server | null>;
