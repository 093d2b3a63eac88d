/* An SQLite extension that does nothing: what a connection costs without us. */
int sqlite3_nothing_init(void *db, char **error, const void *api)
{
    (void)db, (void)error, (void)api;
    return 0;
}
