# gem install sqlite3, or Debian's ruby-sqlite3
require "sqlite3"

db = SQLite3::Database.new(":memory:")
db.enable_load_extension(true)
db.load_extension(ENV["REMBED_LIB"])
db.execute("SELECT rembed_register('local', 'format', 'ollama', 'model', 'nomic-embed-text', 'url', ?)", [ENV["REMBED_URL"]])
puts db.get_first_value("SELECT length(rembed('local', 'The quick brown fox')) / 4")
