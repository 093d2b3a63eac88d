// usage: demo URL [FORMAT [MODEL]]
// Embeds two texts by SQL, in a program that links SQLite and rembed as ProxySQL does, and prints how far apart they
// are. Build with `make` in this folder; `demo http://localhost:11434` asks a local Ollama.

#include <cmath>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "rembed.h"
#include "sqlite3.h"

namespace {

// Runs one statement; returns the bytes of its first field.
std::string query(sqlite3 *db, const char *sql, const std::vector<std::string> &values) {
    sqlite3_stmt *stmt = nullptr;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, nullptr) != SQLITE_OK) throw std::runtime_error(sqlite3_errmsg(db));
    for (size_t i = 0; i < values.size(); ++i) {
        sqlite3_bind_text(stmt, int(i) + 1, values[i].data(), int(values[i].size()), SQLITE_TRANSIENT);
    }
    std::string result;
    // The error of a step must not be dropped: a server that cannot be reached shows only here.
    const int rc = sqlite3_step(stmt);
    const std::string error = rc == SQLITE_ROW || rc == SQLITE_DONE ? "" : sqlite3_errmsg(db);
    if (rc == SQLITE_ROW) {
        const auto *bytes = static_cast<const char *>(sqlite3_column_blob(stmt, 0));
        result.assign(bytes, size_t(sqlite3_column_bytes(stmt, 0)));
    }
    sqlite3_finalize(stmt);
    if (!error.empty()) throw std::runtime_error(error);
    return result;
}

// A vector is a BLOB of 32-bit floats, as sqlite-vec stores them.
std::vector<float> embed(sqlite3 *db, const std::string &text) {
    const std::string blob = query(db, "SELECT rembed('demo', ?)", {text});
    std::vector<float> vector(blob.size() / sizeof(float));
    std::memcpy(vector.data(), blob.data(), vector.size() * sizeof(float));
    return vector;
}

double cosine_distance(const std::vector<float> &a, const std::vector<float> &b) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
        ab += double(a[i]) * b[i];
        aa += double(a[i]) * a[i];
        bb += double(b[i]) * b[i];
    }
    return 1 - ab / std::sqrt(aa * bb);
}

}  // namespace

int main(int argc, char **argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s URL [FORMAT [MODEL]]\n", argv[0]);
        return 2;
    }
    // Once, before the first connection; sqlite3_vec_init of sqlite-vec would go before it.
    sqlite3_auto_extension((void (*)(void))sqlite3_rembed_init);

    sqlite3 *db = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX;
    if (sqlite3_open_v2(":memory:", &db, flags, nullptr) != SQLITE_OK || rembed_selfcheck(db) != SQLITE_OK) {
        std::fprintf(stderr, "rembed is not registered: %s\n", sqlite3_errmsg(db));
        return 1;
    }
    int status = 0;
    try {
        // Of scope 'process': connections that are opened later have the client too.
        query(db, "SELECT rembed_register('demo', 'format', ?2, 'model', ?3, 'url', ?1, 'scope', 'process')",
              {argv[1], argc > 2 ? argv[2] : "ollama", argc > 3 ? argv[3] : "nomic-embed-text"});
        const auto a = embed(db, "The river flooded the lower town.");
        const auto b = embed(db, "After the rain the river flooded half of the town.");
        std::printf("dimensions: %zu\ndistance: %.4f\n", a.size(), cosine_distance(a, b));
    } catch (const std::exception &e) {
        std::fprintf(stderr, "%s\n", e.what());
        status = 1;
    }
    sqlite3_close(db);
    return status;
}
