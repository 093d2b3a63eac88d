-- Turso's shell, npm @tursodatabase/cli-linux-x64-gnu: tursodb -q :memory:, and a library built with the feature turso
.load $rembed
SELECT rembed_register('local', 'format', 'ollama', 'model', 'nomic-embed-text', 'url', '$url');
SELECT length(rembed('local', 'The quick brown fox')) / 4;
