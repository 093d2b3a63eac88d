/*
** usage: header
** A C99 host, and proof that the header compiles after either of SQLite's: with EXT_BEFORE after sqlite3ext.h, with
** EXT_INIT1 after its SQLITE_EXTENSION_INIT1 too, with ALONE before both. Only the plain one is linked and run.
*/
#if defined(ALONE)
#include "rembed.h"
#include "sqlite3ext.h"
#elif defined(EXT_BEFORE) || defined(EXT_INIT1)
#include "sqlite3ext.h"
#ifdef EXT_INIT1
SQLITE_EXTENSION_INIT1
#endif
#include "rembed.h"
#else
#include "sqlite3.h"
#include "rembed.h"
#endif
#include "rembed.h" /* twice does no harm */

#ifdef EXT_BEFORE
SQLITE_EXTENSION_INIT1
#endif

#if defined(EXT_BEFORE) || defined(EXT_INIT1) || defined(ALONE)
int sqlite3_wrapper_init(sqlite3 *db, char **error, const sqlite3_api_routines *api);

int sqlite3_wrapper_init(sqlite3 *db, char **error, const sqlite3_api_routines *api) {
#ifndef ALONE
  SQLITE_EXTENSION_INIT2(api)
#endif
  return sqlite3_rembed_init(db, error, api) == SQLITE_OK ? rembed_selfcheck(db) : SQLITE_ERROR;
}
#else
#include <stdio.h>

int main(void) {
  sqlite3 *db = NULL;
  int rc;
  sqlite3_auto_extension((void (*)(void))sqlite3_rembed_init);
  rc = sqlite3_open(":memory:", &db);
  if (rc == SQLITE_OK) rc = rembed_selfcheck(db);
  if (rc == SQLITE_OK) rc = rembed_lock(db);
  if (rc == SQLITE_OK) rc = sqlite3_close(db);
  printf("%s c99: a C host links, registers, passes the selfcheck and locks\n", rc == SQLITE_OK ? "ok" : "FAILED");
  return rc;
}
#endif
