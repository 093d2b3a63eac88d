// The SQL of the README's section "Use", statement by statement, in a session of the server. What a statement shall
// give is written behind it, as `-- → value`.

#include <cstdlib>
#include <fstream>

#include "check.h"
#include "session.h"

namespace {

const std::string MARK = "-- →";

std::string trimmed(const std::string &text) {
    const size_t from = text.find_first_not_of(" \t\n"), to = text.find_last_not_of(" \t\n");
    return from == std::string::npos ? "" : text.substr(from, to - from + 1);
}

// The lines of the section's SQL, the shell's own commands left out.
std::vector<std::string> lines_of(const std::string &path) {
    std::ifstream file(path);
    std::vector<std::string> lines;
    bool section = false, sql = false;
    for (std::string line; std::getline(file, line);) {
        if (line.rfind("## ", 0) == 0) section = line == "## Use";
        if (line.rfind("```", 0) == 0) sql = section && line == "```sql";
        else if (sql && line.rfind(".", 0) != 0) lines.push_back(line);
    }
    return lines;
}

// As the shell prints a row.
std::string printed(const Reply &reply, size_t row) {
    std::string text;
    if (reply.rows.size() <= row) return text;
    for (const auto &field : reply.rows[row]) text += field.value_or("") + "|";
    return text.substr(0, text.size() - 1);
}

void every_statement(const Host &host) {
    const std::string ollama = "http://localhost:11434";
    Session s(host.db);
    std::string sql;
    Reply last;
    int statements = 0, compared = 0;
    size_t row = 0;
    for (std::string line : lines_of(std::getenv("REMBED_README"))) {
        const size_t mark = line.find(MARK);
        const std::string expected = mark == std::string::npos ? "" : trimmed(line.substr(mark + MARK.size()));
        sql += line.substr(0, mark) + "\n";
        if (sqlite3_complete(sql.c_str())) {
            if (const size_t at = sql.find(ollama); at != std::string::npos) {
                sql.replace(at, ollama.size(), host.fake.scenario("readme"));
            }
            last = s.ask(sql);
            if (last.rc != SQLITE_DONE) {
                throw std::runtime_error(trimmed(sql) + ": " + last.error +
                                         s.value("SELECT coalesce(rembed_last_error(), '')"));
            }
            ++statements;
            row = 0;
            sql.clear();
        }
        if (!expected.empty()) {
            equal(__FILE__, __LINE__, "what the README's statement gives", printed(last, row), expected);
            ++row;
            ++compared;
        }
    }
    EQUAL(trimmed(sql), "");
    std::cout << "   " << statements << " statements, " << compared << " compared" << std::endl;
    REQUIRE(statements >= 10 && compared >= 5);
}

}  // namespace

std::vector<Case> readme_cases() {
    if (std::getenv("REMBED_README") == nullptr) return {};
    return {{"the statements of the README", every_statement}};
}
