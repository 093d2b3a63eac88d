-- The table temp.rembed_clients for Turso. Run these statements, outside of a transaction, on each connection
-- that has loaded the library (a Rust host: connection.prepare_execute_batch(), a shell: .read). Run again, they
-- bring the table up to date with rembed_register() and rembed_unregister(), and with the rest of the process.

-- This fails where the library is not loaded or REMBED_CONFIG cannot be read, before anything is changed.
SELECT count(*) FROM json_each(rembed_stats());

-- The triggers go with the table. A table without them would keep a key as it is written.
DROP TABLE IF EXISTS temp.rembed_clients;

CREATE TEMP TABLE rembed_clients(
    name TEXT NOT NULL PRIMARY KEY, format TEXT, model TEXT, url TEXT, key TEXT, options TEXT
);

INSERT INTO temp.rembed_clients
SELECT key, rembed_clients_shown(key, 'format'), rembed_clients_shown(key, 'model'), rembed_clients_shown(key, 'url'),
       rembed_clients_shown(key, 'key'), rembed_clients_shown(key, 'options')
FROM json_each(rembed_stats());

-- A row as it is written never gets into the table: its key is a secret, and the table may be a file. What the
-- client shows is stored instead. The first INSERT stores a row without a format, and fails where the name is
-- taken. That row stands for the client while it is registered.
-- WHEN leaves out a row that is just what its client shows: it needs no registration. The trigger of updates
-- writes such rows.
-- An UPDATE or INSERT ... SELECT in a trigger would keep 4 KB for every run until the connection closes.
CREATE TEMP TRIGGER rembed_clients_inserts BEFORE INSERT ON rembed_clients
WHEN NEW.format IS NULL OR NEW.format IS NOT rembed_clients_shown(NEW.name, 'format')
  OR NEW.model IS NOT rembed_clients_shown(NEW.name, 'model')
  OR NEW.url IS NOT rembed_clients_shown(NEW.name, 'url')
  OR NEW.key IS NOT rembed_clients_shown(NEW.name, 'key')
  OR NEW.options IS NOT rembed_clients_shown(NEW.name, 'options')
BEGIN
    INSERT INTO rembed_clients(name) VALUES (NEW.name);
    SELECT rembed_clients_set(NULL, NEW.name, NEW.format, NEW.model, NEW.url, NEW.key, NEW.options)
    FROM rembed_clients WHERE name = NEW.name AND format IS NULL;
    DELETE FROM rembed_clients WHERE name = NEW.name AND format IS NULL;
    INSERT INTO rembed_clients VALUES (
        NEW.name, rembed_clients_shown(NEW.name, 'format'), rembed_clients_shown(NEW.name, 'model'),
        rembed_clients_shown(NEW.name, 'url'), rembed_clients_shown(NEW.name, 'key'),
        rembed_clients_shown(NEW.name, 'options')
    );
    SELECT RAISE(IGNORE);
END;

CREATE TEMP TRIGGER rembed_clients_updates BEFORE UPDATE ON rembed_clients
BEGIN
    SELECT rembed_clients_set(OLD.name, NEW.name, NEW.format, NEW.model, NEW.url, NEW.key, NEW.options);
    INSERT OR REPLACE INTO rembed_clients(rowid, name, format, model, url, key, options) VALUES (
        OLD.rowid, NEW.name,
        rembed_clients_shown(NEW.name, 'format'), rembed_clients_shown(NEW.name, 'model'),
        rembed_clients_shown(NEW.name, 'url'), rembed_clients_shown(NEW.name, 'key'),
        rembed_clients_shown(NEW.name, 'options')
    );
    SELECT RAISE(IGNORE);
END;

CREATE TEMP TRIGGER rembed_clients_deletes AFTER DELETE ON rembed_clients WHEN OLD.format IS NOT NULL
BEGIN
    SELECT rembed_unregister(OLD.name);
END;
