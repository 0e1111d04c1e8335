import { Injectable } from '@nestjs/common';
import { open, type CityResponse, type Reader } from 'maxmind';
import { stat } from 'node:fs/promises';
import { BootError } from '../settings/boot-error.js';
import type { Logger } from '../logging/logger.js';
import type { GeoLocation } from '../http/request.js';
import { TrustedProxies } from '../http/trusted-proxies.js';
import type { Settings } from '../settings/settings.js';
import { hidesItsUsers, isCountry } from './countries.js';

/** The fields of free country databases, besides those of MaxMind's. */
type Entry = CityResponse & { country_code?: string };

interface Located {
  clientAddress: string | null;
  headers: Record<string, string | string[] | undefined>;
  socket: { remoteAddress?: string };
}

/** Geolocation of a request: by `COUNTRY_HEADER` of a trusted proxy, otherwise by `GEOIP_DATABASE`. Without I/O. */
@Injectable()
export class GeoLocator {
  private constructor(
    private readonly settings: Pick<Settings, 'countryHeader' | 'geoipDatabase'>,
    private readonly proxies: TrustedProxies,
    private database: { reader: Reader<Entry>; version: number } | null,
  ) {}

  /** @throws BootError if `GEOIP_DATABASE` cannot be read */
  static async create(
    settings: Pick<Settings, 'countryHeader' | 'geoipDatabase' | 'trustedProxies'>,
    logger: Logger,
  ): Promise<GeoLocator> {
    const { countryHeader, geoipDatabase, trustedProxies } = settings;
    if (countryHeader && trustedProxies.length === 0)
      logger.warn('COUNTRY_HEADER is ignored, because TRUSTED_PROXIES is empty');
    const database = geoipDatabase
      ? await read(geoipDatabase).catch((error: Error) => {
          throw new BootError(
            `GEOIP_DATABASE "${geoipDatabase}" cannot be read: ${error.message}; allowed: a file in MaxMind's format (.mmdb)`,
          );
        })
      : null;
    return new GeoLocator(settings, new TrustedProxies(trustedProxies), database);
  }

  /** @returns null if the place is unknown, or if the network hides it */
  locate(request: Located): GeoLocation | null {
    const code = this.countryHeaderOf(request);
    if (code !== undefined && hidesItsUsers(code)) return null;
    return placeOf(code) ?? this.fromDatabase(request.clientAddress);
  }

  /**
   * Loads the database again if the file was replaced. The previous one stays in use if that fails.
   * @throws any error of reading it
   */
  async update(): Promise<void> {
    const path = this.settings.geoipDatabase;
    if ((await versionOf(path)) !== this.database?.version) this.database = await read(path);
  }

  private countryHeaderOf(request: Located): string | undefined {
    const value = this.settings.countryHeader && request.headers[this.settings.countryHeader];
    if (typeof value !== 'string' || !this.proxies.sent(request)) return undefined;
    return value.toUpperCase();
  }

  private fromDatabase(address: string | null): GeoLocation | null {
    const entry = address === null ? null : this.database?.reader.get(address);
    const place = entry && placeOf(entry.country?.iso_code ?? entry.country_code);
    const { latitude, longitude } = entry?.location ?? {};
    if (!place || latitude === undefined || longitude === undefined) return place ?? null;
    return { ...place, at: { latitude, longitude } };
  }
}

function placeOf(code: string | undefined): GeoLocation | null {
  return code !== undefined && isCountry(code) ? { country: code } : null;
}

async function read(path: string): Promise<{ reader: Reader<Entry>; version: number }> {
  const version = await versionOf(path);
  return { reader: await open<Entry>(path), version };
}

async function versionOf(path: string): Promise<number> {
  const { mtimeMs, size } = await stat(path);
  return mtimeMs + size;
}
