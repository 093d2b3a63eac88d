# Debian's libsqlite3-tcl
package require sqlite3

sqlite3 db :memory:
db enable_load_extension 1
set lib $env(REMBED_LIB)
set url $env(REMBED_URL)
db eval {SELECT load_extension($lib)}
db eval {SELECT rembed_register('local', 'format', 'ollama', 'model', 'nomic-embed-text', 'url', $url)}
puts [db onecolumn {SELECT length(rembed('local', 'The quick brown fox')) / 4}]
