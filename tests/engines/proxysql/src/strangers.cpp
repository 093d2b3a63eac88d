// A stranger's database file in a host that registers us as an auto-extension: nothing in its schema may call what is
// the user's. The file is strangers.txt, which REMBED_STRANGERS names.

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "check.h"
#include "rembed.h"

namespace {

using Fields = std::vector<std::string>;

// The fields of the lines that begin with `what`.
std::vector<Fields> lines(const std::string &what) {
    const std::string between = " : ";
    std::ifstream file(std::getenv("REMBED_STRANGERS"));
    std::vector<Fields> found;
    for (std::string line; std::getline(file, line);) {
        if (line.rfind(what + between, 0) != 0) continue;
        Fields fields;
        for (size_t at = what.size() + between.size(), end = 0; end != std::string::npos; at = end + between.size()) {
            end = line.find(between, at);
            fields.push_back(line.substr(at, end == std::string::npos ? end : end - at));
        }
        found.push_back(fields);
    }
    return found;
}

std::string replaced(std::string text, const std::string &from, const std::string &to) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) text.replace(at, from.size(), to);
    return text;
}

class File {
public:
    explicit File(const std::string &path) { opened_ = sqlite3_open(path.c_str(), &db_) == SQLITE_OK; }
    ~File() { sqlite3_close(db_); }
    File(const File &) = delete;
    File &operator=(const File &) = delete;

    bool opened() const { return opened_; }

    // The error, or "".
    std::string run(const std::string &sql) {
        value_.clear();
        char *error = nullptr;
        const auto row = [](void *self, int, char **values, char **) {
            static_cast<File *>(self)->value_ = values[0] ? values[0] : "NULL";
            return 0;
        };
        if (sqlite3_exec(db_, sql.c_str(), row, this, &error) == SQLITE_OK) return "";
        const std::string text = error ? error : "?";
        sqlite3_free(error);
        return text;
    }
    // The first column of the last row.
    std::string value(const std::string &sql) {
        const std::string error = run(sql);
        if (!error.empty()) throw std::runtime_error(sql + ": " + error);
        return value_;
    }

private:
    sqlite3 *db_ = nullptr;
    bool opened_ = false;
    std::string value_;
};

void make(const std::string &path, const std::string &schema, const std::string &call) {
    std::remove(path.c_str());
    File file(path);
    file.value("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; " + schema +
               "; INSERT INTO notes(body) VALUES ('a'); PRAGMA writable_schema = ON;" +
               "UPDATE sqlite_master SET sql = replace(sql, 'upper(''evil'')', '" + replaced(call, "'", "''") + "')");
}

// Another extension, which reads the schema.
int reads(sqlite3 *db, char **, const void *) {
    sqlite3_exec(db, "SELECT body FROM notes", nullptr, nullptr, nullptr);
    return SQLITE_OK;
}
void (*const OURS)(void) = (void (*)(void))sqlite3_rembed_init;
void (*const READS)(void) = (void (*)(void))reads;

// Before us, or not at all.
void extensions(bool reads_before) {
    sqlite3_cancel_auto_extension(READS);
    sqlite3_cancel_auto_extension(OURS);
    if (reads_before) sqlite3_auto_extension(READS);
    sqlite3_auto_extension(OURS);
}

void nothing_of_the_users_is_called(const Host &host) {
    const std::string url = host.fake.scenario("strangers"), path = host.folder + "/stranger.db";
    const auto calls = lines("call");
    int tried = 0;
    for (const Fields &schema : lines("schema")) {
        for (const Fields &call : calls) {
            if (schema[0] == "DEFAULT" && call[0].find("body") != std::string::npos) continue;
            make(path, schema[1], replaced(call[0], "URL", url));
            for (const bool before : {false, true}) {
                const std::string what = schema[0] + ", " + call[0] + (before ? ", read before" : "");
                extensions(before);
                File file(path);
                REQUIRE(file.opened());
                file.value("SELECT rembed_register('c', 'format', 'ollama', 'url', '" + url + "')");
                for (size_t i = 2; i < schema.size(); ++i) {
                    const std::string error = file.run(schema[i]);
                    const bool refused = error.find("unsafe use of") != std::string::npos ||
                                         error.find("malformed database schema") != std::string::npos;
                    if (!refused) throw std::runtime_error(what + ": " + schema[i] + ": '" + error + "'");
                }
                file.run("PRAGMA integrity_check");
                file.run("SELECT body FROM notes");
                EQUAL(file.value("SELECT rembed_unregister('evil')"), "0");
                EQUAL(file.value("SELECT rembed_unregister('c')"), "1");
                ++tried;
            }
        }
    }
    extensions(false);
    std::remove(path.c_str());
    REQUIRE(tried >= 170);
    EQUAL(host.fake.count("strangers", "requests"), 0);
}

}  // namespace

std::vector<Case> stranger_cases() {
    return {{"nothing of the user's is called by a stranger's file", nothing_of_the_users_is_called}};
}
