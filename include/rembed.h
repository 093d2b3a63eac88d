/*
** sqlite-rembed for C and C++ hosts: embeddings from inside SQL.
**
** LINK. One static archive and one header; no Rust on the machine that uses them:
**
**     c++ host.cpp libsqlite_rembed.a sqlite3.o -lpthread -ldl -lm
**     c++ host.cpp libsqlite_rembed.a -lsqlite3 -lpthread -ldl -lm
**
** in any order. The archive holds no SQLite and refers to none: it calls the SQLite of the host through the table
** of routines that SQLite hands to the entry point. So the SQLite that runs is the one the host links, whatever its
** version (3.34.0 or later) and flags, except SQLITE_OMIT_LOAD_EXTENSION: without the table there is nothing to
** call, and sqlite3_open_v2() fails with "automatic extension loading failed".
**
** REGISTER. Once in the process, before the connections that are to have it:
**
**     sqlite3_auto_extension((void (*)(void))sqlite3_rembed_init);
**
** Every connection opened from then on has rembed(), the table temp.rembed_clients and the rest; one opened
** before has not. Naming sqlite3_rembed_init directly, rather than through a pointer that may be NULL, makes a
** missing archive an error of the linker. A registration that was forgotten shows in rembed_selfcheck().
**
** SERVERS. A client of scope 'connection', the default, goes with its connection. Where each session of a server
** has a connection of its own, as in ProxySQL, name the clients once for all of them:
**
**   - REMBED_CONFIG=/path/to/rembed.json in the environment of the server, read once:
**         {"clients": {"docs": {"format": "openai", "model": "text-embedding-3-small", "key": "env:OPENAI_API_KEY"}}}
**   - or, by SQL, in any session: SELECT rembed_register('docs', 'format', 'openai', ..., 'scope', 'process').
**     It takes no lock, while INSERT INTO temp.rembed_clients takes SQLite's write lock as every INSERT does.
**
** STRANGERS. Whoever may run SQL may register clients, and by them have a key of this process sent to a server of their
** own. Where strangers may: REMBED_LOCK=1 in the environment leaves the clients of REMBED_CONFIG alone, in every
** connection; rembed_lock(db) leaves one connection the clients that it has by then. SECURITY.md has recipes.
**
** ERRORS. A host that drops the error of a sqlite3_step() of a SELECT shows an empty result; then
** SELECT rembed_last_error() tells the error of the session's last failed call. No function of ours ever fails
** with SQLITE_BUSY or SQLITE_LOCKED, so a host that repeats a statement until those are gone is not caught in a loop.
** Connections may be used from any thread that SQLite allows.
*/
#ifndef REMBED_H
#define REMBED_H

#include <stddef.h>

/* A host may have included sqlite3ext.h instead, which contains this. */
#include "sqlite3.h"

#if defined(SQLITE3EXT_H) && defined(SQLITE_EXTENSION_INIT3) && !defined(SQLITE_CORE) && \
    !defined(SQLITE_OMIT_LOAD_EXTENSION)
/* sqlite3ext.h turned the sqlite3_* names below into uses of this variable, which SQLITE_EXTENSION_INIT1 defines. */
SQLITE_EXTENSION_INIT3
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*
** The entry point, for sqlite3_auto_extension(). May also be called by hand for one connection, with the table of
** routines that the caller was given in its own entry point; NULL gives SQLITE_ERROR.
*/
int sqlite3_rembed_init(sqlite3 *db, char **error, const struct sqlite3_api_routines *api);

#ifdef __cplusplus
}
#endif

/*
** Whether this connection has the extension: SQLITE_OK; SQLITE_ERROR when it has not, and sqlite3_errmsg(db) then
** says "no such function: rembed_version"; SQLITE_MISUSE when db is NULL. Sends nothing, touches no file, and costs
** microseconds: call it for the first connection, and refuse to start when it fails.
*/
static inline int rembed_selfcheck(sqlite3 *db) {
  sqlite3_stmt *stmt = NULL;
  int ok;
  if (db == NULL) return SQLITE_MISUSE;
  ok = sqlite3_prepare_v2(db, "SELECT rembed_version()", -1, &stmt, NULL) == SQLITE_OK &&
       sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_text(stmt, 0) != NULL;
  /* Of NULL this is harmless, and leaves the message of sqlite3_prepare_v2() in place. */
  sqlite3_finalize(stmt);
  return ok ? SQLITE_OK : SQLITE_ERROR;
}

/*
** From now on, and as long as the connection lives, its clients are those that it has: none is registered, changed or
** removed, and no cache cleared. There is no way back, and a second call does no harm. SQLITE_OK; SQLITE_ERROR when it
** cannot be locked, as a connection without the extension (sqlite3_errmsg(db) tells): no stranger may have it then;
** SQLITE_MISUSE when db is NULL.
*/
static inline int rembed_lock(sqlite3 *db) {
  sqlite3_stmt *stmt = NULL;
  int ok;
  if (db == NULL) return SQLITE_MISUSE;
  ok = sqlite3_prepare_v2(db, "SELECT rembed_lock()", -1, &stmt, NULL) == SQLITE_OK &&
       sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_int(stmt, 0) == 1;
  sqlite3_finalize(stmt);
  return ok ? SQLITE_OK : SQLITE_ERROR;
}

#endif /* REMBED_H */
