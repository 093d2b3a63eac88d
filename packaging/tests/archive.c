/* A C program that links the archive: usage: archive URL; prints how long a vector is. */
#include <stdio.h>
#include <rembed.h>

static int print(void *unused, int columns, char **values, char **names) {
  (void)unused, (void)columns, (void)names;
  printf("%s\n", values[0]);
  return 0;
}

int main(int argc, char **argv) {
  sqlite3 *db;
  char *error = 0;
  if (argc != 2 || sqlite3_auto_extension((void (*)(void))sqlite3_rembed_init) || sqlite3_open(":memory:", &db)) return 1;
  char *sql = sqlite3_mprintf("SELECT rembed_register('c', 'format', 'ollama', 'model', 'nomic-embed-text', 'url', %Q);"
                              "SELECT length(rembed('c', 'some text')) || ' bytes'", argv[1]);
  if (sqlite3_exec(db, sql, print, 0, &error)) fprintf(stderr, "%s\n", error);
  sqlite3_free(sql);
  return error != 0;
}
