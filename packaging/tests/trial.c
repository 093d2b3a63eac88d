/* usage: host LIBRARY MODEL: loads the library, says what it is and embeds a text by the model in the folder. */
#include <stdio.h>
#include "sqlite3.h"

static int print(void *unused, int columns, char **values, char **names) {
    (void)unused, (void)names;
    for (int i = 0; i < columns; i++) puts(values[i] ? values[i] : "NULL");
    return 0;
}

int main(int argc, char **argv) {
    sqlite3 *db;
    char *why = "usage: host LIBRARY MODEL", *sql = NULL;
    if (argc != 3 || sqlite3_open(":memory:", &db) != SQLITE_OK) return fprintf(stderr, "%s\n", why), 2;
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL);
    sql = sqlite3_mprintf("SELECT rembed_debug();"
                          "SELECT rembed_register('local', 'format', 'local', 'model', %Q);"
                          "SELECT length(rembed('local', 'some text')) || ' bytes';", argv[2]);
    if (sqlite3_load_extension(db, argv[1], NULL, &why) != SQLITE_OK || sqlite3_exec(db, sql, print, NULL, &why) != SQLITE_OK)
        return fprintf(stderr, "%s\n", why), 1;
    return 0;
}
