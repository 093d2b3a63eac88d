// A replica in a file of this process: reads run here, where there is no rembed(), and writes on the primary.
//
//     npm install
//     SERVER=http://127.0.0.1:8080 node replica.mjs replica.db

import { createClient } from "@libsql/client";

const server = process.env.SERVER ?? "http://127.0.0.1:8080";
const remote = createClient({ url: server });
const replica = createClient({ url: `file:${process.argv[2]}`, syncUrl: server });
await remote.execute("CREATE TABLE IF NOT EXISTS parcels(body TEXT, embedding F32_BLOB(768))");
await replica.sync();

for (const body of ["Parcels leave on the day of the order.", "The office is closed on Sundays."]) {
  await replica.execute({ sql: "INSERT INTO parcels VALUES (?1, rembed('docs', ?1))", args: [body] });
}
await replica.sync();

// So the question's vector is computed there, and bound here.
const { rows } = await remote.execute("SELECT rembed('docs', 'on what day is the office closed?') AS vector");
const found = await replica.execute({
  sql: "SELECT body FROM parcels ORDER BY vector_distance_cos(embedding, ?) LIMIT 1",
  args: [rows[0].vector],
});
console.log(found.rows[0].body);
