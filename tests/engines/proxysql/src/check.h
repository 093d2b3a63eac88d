// Cases and requirements. A case that fails says which requirement did, and the next case runs.
#pragma once

#include <functional>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "fake.h"

// What the cases share: one database on disk, and the fake provider.
struct Host {
    Fake fake;
    std::string db;
    std::string folder;
    std::string loadable;  // the .so of the same build
};

struct Case {
    const char *name;
    std::function<void(const Host &)> run;
};

// One a file.
std::vector<Case> linkage_cases();
std::vector<Case> pipeline_cases();
std::vector<Case> scope_cases();
std::vector<Case> error_cases();
std::vector<Case> load_cases();
std::vector<Case> lifetime_cases();
std::vector<Case> config_cases();
std::vector<Case> readme_cases();
std::vector<Case> lock_cases();
std::vector<Case> locked_process_cases();
std::vector<Case> stranger_cases();
std::vector<Case> client_cases();
std::vector<Case> index_cases();

#define REQUIRE(condition)                                                                             \
    do {                                                                                               \
        if (!(condition)) fail(__FILE__, __LINE__, #condition);                                        \
    } while (0)

#define EQUAL(actual, expected) equal(__FILE__, __LINE__, #actual, (actual), (expected))

// That `text` has `part` in it.
#define CONTAINS(text, part) contains(__FILE__, __LINE__, (text), (part))

[[noreturn]] inline void fail(const char *file, int line, const std::string &what) {
    throw std::runtime_error(std::string(file) + ":" + std::to_string(line) + ": " + what);
}

template <typename A, typename B>
void equal(const char *file, int line, const char *what, const A &actual, const B &expected) {
    if (actual == expected) return;
    std::ostringstream text;
    text << what << " is '" << actual << "', not '" << expected << "'";
    fail(file, line, text.str());
}

inline void contains(const char *file, int line, const std::string &text, const std::string &part) {
    if (text.find(part) == std::string::npos) fail(file, line, "'" + part + "' is not in '" + text + "'");
}

// Returns how many failed. Prints a line a case, which run.sh counts.
inline int run_cases(const std::string &where, const std::vector<Case> &cases, const Host &host) {
    int failed = 0;
    for (const Case &c : cases) {
        try {
            c.run(host);
            std::cout << "ok " << where << ": " << c.name << std::endl;
        } catch (const std::exception &e) {
            ++failed;
            std::cout << "FAILED " << where << ": " << c.name << ": " << e.what() << std::endl;
        }
    }
    return failed;
}
