// usage: driver DATABASE-FILE
// The conformance driver (tests/conformance/README.md has the protocol): connections are sessions of the server.
//
// What differs from the server: values keep their types, and the error of a SELECT is told. What it shares: a thread
// and a connection a session, PRAGMA and ATTACH refused, no session that is read-only.

#include <cstdio>
#include <iostream>
#include <map>
#include <memory>

#include "rembed.h"
#include "session.h"
#include "sqlite-vec.h"

namespace {

struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// SQLite reads and writes the JSON. A connection without extensions.
class Json {
public:
    Json() { sqlite3_open(":memory:", &db_); }
    ~Json() { sqlite3_close_v2(db_); }
    Json(const Json &) = delete;
    Json &operator=(const Json &) = delete;

    std::string field(const std::string &json, const char *path) { return call("SELECT json_extract(?1, ?2)", json, path); }
    std::string quote(const std::string &text) { return call("SELECT json_quote(?1)", text, nullptr); }

private:
    std::string call(const char *sql, const std::string &first, const char *second) {
        sqlite3_stmt *stmt = nullptr;
        if (sqlite3_prepare_v2(db_, sql, -1, &stmt, nullptr) != SQLITE_OK) throw Error(sqlite3_errmsg(db_));
        sqlite3_bind_text(stmt, 1, first.data(), static_cast<int>(first.size()), SQLITE_STATIC);
        if (second) sqlite3_bind_text(stmt, 2, second, -1, SQLITE_STATIC);
        if (sqlite3_step(stmt) != SQLITE_ROW) throw Error(sqlite3_errmsg(db_));
        const auto size = static_cast<size_t>(sqlite3_column_bytes(stmt, 0));
        const auto *text = reinterpret_cast<const char *>(sqlite3_column_text(stmt, 0));
        std::string result(text ? text : "", size);
        sqlite3_finalize(stmt);
        return result;
    }

    sqlite3 *db_ = nullptr;
};

std::string hex(const void *bytes, int size) {
    std::string out;
    for (int i = 0; i < size; ++i) {
        char two[3];
        std::snprintf(two, sizeof two, "%02x", static_cast<const unsigned char *>(bytes)[i]);
        out += two;
    }
    return out;
}

// As SQLite's own functions for UTF-8 are lenient: no overlong form, no surrogate, nothing beyond U+10FFFF.
bool is_utf8(const std::string &text) {
    for (size_t i = 0; i < text.size();) {
        const auto byte = [&](size_t at) -> unsigned { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0; };
        const unsigned first = byte(i), second = byte(i + 1);
        const size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
        if (length == 0) return false;
        for (size_t k = 1; k < length; ++k) {
            if ((byte(i + k) & 0xc0) != 0x80) return false;
        }
        if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f)) return false;
        if ((first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) return false;
        i += length;
    }
    return true;
}

std::string value(Json &json, sqlite3_stmt *stmt, int i) {
    switch (sqlite3_column_type(stmt, i)) {
        case SQLITE_NULL: return "null";
        case SQLITE_INTEGER: return std::to_string(sqlite3_column_int64(stmt, i));
        case SQLITE_FLOAT: {
            char number[32];
            std::snprintf(number, sizeof number, "%.17g", sqlite3_column_double(stmt, i));
            return std::string("{\"real\":") + number + "}";
        }
        case SQLITE_BLOB: {
            const void *bytes = sqlite3_column_blob(stmt, i);
            return "{\"blob\":\"" + hex(bytes, sqlite3_column_bytes(stmt, i)) + "\"}";
        }
        default: {
            const auto *bytes = reinterpret_cast<const char *>(sqlite3_column_text(stmt, i));
            const std::string text(bytes, static_cast<size_t>(sqlite3_column_bytes(stmt, i)));
            return is_utf8(text) ? json.quote(text) : "{\"text\":\"" + hex(text.data(), static_cast<int>(text.size())) + "\"}";
        }
    }
}

// The rows as JSON. In the session's thread.
std::string rows(Json &json, sqlite3 *db, const std::string &sql) {
    sqlite3_stmt *stmt = nullptr;
    if (sqlite3_prepare_v2(db, sql.c_str(), -1, &stmt, nullptr) != SQLITE_OK) throw Error(sqlite3_errmsg(db));
    std::string out;
    int rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        std::string row;
        for (int i = 0; i < sqlite3_column_count(stmt); ++i) row += (i ? "," : "") + value(json, stmt, i);
        out += (out.empty() ? "[" : ",[") + row + "]";
    }
    // Read before sqlite3_finalize(), which may put another in its place.
    const std::string why = rc == SQLITE_DONE ? "" : sqlite3_errmsg(db);
    sqlite3_finalize(stmt);
    if (rc != SQLITE_DONE) throw Error(why);
    return "{\"rows\":[" + out + "]}";
}

// The server's own words for what it does not run.
void refuse(const std::string &sql) {
    for (const char *word : {"PRAGMA", "ATTACH"}) {
        if (sqlite3_strnicmp(sql.c_str(), word, 6) == 0) throw Error("Command not allowed");
    }
}

}  // namespace

int main(int argc, char **argv) {
    if (argc < 2) {
        std::cerr << "usage: driver DATABASE-FILE\n";
        return 2;
    }
    // Before the extensions are registered.
    Json json;
    sqlite3_auto_extension((void (*)(void))sqlite3_vec_init);
    sqlite3_auto_extension((void (*)(void))sqlite3_rembed_init);
    std::cout << "{\"engine\":\"SQLite " << sqlite3_libversion()
              << "\",\"host\":\"a C++ program like ProxySQL's SQLite3 Server\"}" << std::endl;

    std::map<std::string, std::unique_ptr<Session>> sessions;
    for (std::string line; std::getline(std::cin, line);) {
        std::string reply;
        try {
            const std::string name = json.field(line, "$.connection"), sql = json.field(line, "$.sql");
            if (name.rfind("readonly", 0) == 0) throw Error("no read-only connections: the server opens every session for writing");
            refuse(sql);
            auto &session = sessions[name];
            if (!session) session = std::make_unique<Session>(argv[1]);
            reply = session->with<std::string>([&](sqlite3 *db) { return rows(json, db, sql); });
        } catch (const std::exception &e) {
            reply = "{\"error\":" + json.quote(e.what()) + "}";
        }
        std::cout << reply << std::endl;
    }
}
