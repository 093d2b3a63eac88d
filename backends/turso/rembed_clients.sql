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
-- client shows is stored instead. The first INSERT stores a row without a format, and does nothing where the name is
-- taken (with OR FAIL and OR ROLLBACK it fails). That row stands for the client while it is registered.
-- The last argument in WHEN leaves out a row that is just what its client shows: it needs no registration. The
-- trigger of updates writes such rows.
-- The engine undoes the rows of a statement that fails, and the functions its clients. rembed_clients_statement() runs
-- once for a WHEN of a statement, but each time for one in a trigger's body. So the first INSERT below has a number of
-- its own, and the third argument says that it begins no statement: its row is not filled.
-- An UPDATE or INSERT ... SELECT in a trigger would keep 4 KB for every run until the connection closes.
CREATE TEMP TRIGGER rembed_clients_inserts BEFORE INSERT ON rembed_clients
WHEN rembed_clients_row(
    rembed_clients_statement(), NEW.name,
    coalesce(NEW.format, NEW.model, NEW.url, NEW.key, NEW.options) IS NOT NULL,
    NEW.format IS NULL OR NEW.format IS NOT rembed_clients_shown(NEW.name, 'format')
    OR NEW.model IS NOT rembed_clients_shown(NEW.name, 'model')
    OR NEW.url IS NOT rembed_clients_shown(NEW.name, 'url')
    OR NEW.key IS NOT rembed_clients_shown(NEW.name, 'key')
    OR NEW.options IS NOT rembed_clients_shown(NEW.name, 'options')
)
BEGIN
    INSERT OR IGNORE INTO rembed_clients(name) VALUES (NEW.name);
    -- Where the name is taken, the last INSERT fails, or OR IGNORE passes over the row and the statement goes on.
    SELECT rembed_clients_undo() FROM rembed_clients WHERE name = NEW.name AND format IS NOT NULL;
    SELECT rembed_clients_set(NULL, NEW.name, NEW.format, NEW.model, NEW.url, NEW.key, NEW.options)
    FROM rembed_clients WHERE name = NEW.name AND format IS NULL;
    DELETE FROM rembed_clients WHERE name = NEW.name AND format IS NULL;
    INSERT INTO rembed_clients VALUES (
        NEW.name, rembed_clients_shown(NEW.name, 'format'), rembed_clients_shown(NEW.name, 'model'),
        rembed_clients_shown(NEW.name, 'url'), rembed_clients_shown(NEW.name, 'key'),
        rembed_clients_shown(NEW.name, 'options')
    );
    SELECT rembed_clients_redo();
    SELECT RAISE(IGNORE);
END;

CREATE TEMP TRIGGER rembed_clients_updates BEFORE UPDATE ON rembed_clients
WHEN rembed_clients_row(rembed_clients_statement(), OLD.name, 1, 1)
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

CREATE TEMP TRIGGER rembed_clients_deletes AFTER DELETE ON rembed_clients
WHEN rembed_clients_row(rembed_clients_statement(), OLD.name, 1, OLD.format IS NOT NULL)
BEGIN
    SELECT rembed_clients_unset(OLD.name);
END;
