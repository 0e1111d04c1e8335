import pg from 'pg';

export default async function globalTeardown() {
  const { services, server, databases } = globalThis.drawbridgeTestRun;
  try {
    await dropDatabases(server, databases);
  } finally {
    await Promise.all(services.map((service) => service.stop()));
  }
}

async function dropDatabases(server, databases) {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  try {
    for (const database of databases) await client.query(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
  } finally {
    await client.end();
  }
}
