# install.packages("RSQLite"), or Debian's r-cran-rsqlite
library(DBI)

db <- dbConnect(RSQLite::SQLite(), ":memory:", loadable.extensions = TRUE)
invisible(dbGetQuery(db, "SELECT load_extension(?)", params = list(Sys.getenv("REMBED_LIB"))))
invisible(dbGetQuery(db, "SELECT rembed_register('local', 'format', 'ollama', 'model', 'nomic-embed-text', 'url', ?)",
                     params = list(Sys.getenv("REMBED_URL"))))
cat(dbGetQuery(db, "SELECT length(rembed('local', 'The quick brown fox')) / 4 AS n")$n, "\n", sep = "")
