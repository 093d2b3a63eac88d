// Many sessions at once, each embedding and searching: all results right, no lock of ours, few connections.

#include <atomic>
#include <memory>

#include "check.h"
#include "session.h"

namespace {

constexpr int SESSIONS = 32;
constexpr int STATEMENTS = 50;
constexpr int TEXTS = 64;
constexpr int INSERT_EVERY = 10;

const char *const SUBJECTS[] = {"a gardener", "the old pilot", "my neighbour", "a choir of children",
                                "the night train", "an engineer", "two foxes", "the lighthouse keeper"};
const char *const DEEDS[] = {"repairs a clock", "crosses the frozen lake", "paints the fence green",
                             "writes a long letter", "waits for the ferry", "sells fresh bread",
                             "listens to the radio", "counts the stars"};

std::string text(int n) { return std::string(SUBJECTS[n / 8 % 8]) + " " + DEEDS[n % 8]; }

std::string call(const std::string &text) { return "rembed('load', " + quote(text) + ")"; }

// Without a cache, so that every call is a request. The latency makes the sessions' requests overlap.
void prepare(Session &s, const Host &host, int latency) {
    const std::string url =
        host.fake.scenario("load", "{\"log\":false,\"latency_ms\":" + std::to_string(latency) + "}");
    s.value("SELECT rembed_register('load', 'format', 'ollama', 'scope', 'process', 'cache', 'off', 'url', " +
            quote(url) + ")");
    s.run("DROP TABLE IF EXISTS load_v");
    s.run("CREATE VIRTUAL TABLE load_v USING vec0(embedding float[768])");
    s.run("BEGIN");
    for (int n = 0; n < TEXTS; ++n) {
        s.run("INSERT INTO load_v(rowid, embedding) VALUES (" + std::to_string(n) + ", " + call(text(n)) + ")");
    }
    s.run("COMMIT");
}

// What one session does; the first thing that is wrong ends it. `vectors` are those of the texts.
std::string work(const Host &host, int id, const std::vector<std::string> &vectors) {
    Session s(host.db);
    for (int i = 0; i < STATEMENTS; ++i) {
        const int n = (id * 7 + i * 13) % TEXTS;
        const std::string at = "session " + std::to_string(id) + ", statement " + std::to_string(i) + ": ";
        if ((id + i) % INSERT_EVERY == 0) {
            const std::string rowid = std::to_string(1000 + id * STATEMENTS + i);
            const Reply reply = s.ask("INSERT INTO load_v(rowid, embedding) VALUES (" + rowid + ", " +
                                      call("remark " + rowid + " on " + text(n)) + ")");
            if (!reply.ok || reply.affected != 1) return at + "insert: " + reply.error;
            continue;
        }
        const Reply reply = s.ask(i % 2 == 0 ? "SELECT " + call(text(n))
                                             : "SELECT rowid, distance FROM load_v WHERE embedding MATCH " +
                                                   call(text(n)) + " AND k = 3");
        if (reply.rc != SQLITE_DONE) return at + "rc " + std::to_string(reply.rc);
        if (reply.locked != 0) return at + "locked";
        if (i % 2 == 0) {
            if (reply.rows.size() != 1 || reply.rows[0][0] != vectors[size_t(n)]) return at + "not its own vector";
        } else if (reply.rows.size() != 3 || *reply.rows[0][0] != std::to_string(n) ||
                   std::stod(*reply.rows[0][1]) > 1e-3) {
            return at + "not the nearest text";
        }
    }
    return "";
}

void thirty_two_sessions_at_once(const Host &host) {
    Session main(host.db);
    prepare(main, host, 25);
    std::vector<std::string> vectors;
    for (int n = 0; n < TEXTS; ++n) vectors.push_back(main.value("SELECT " + call(text(n))));

    const auto count = [&](const char *what) { return host.fake.count("load", what); };
    const long texts = count("texts"), requests = count("requests");
    std::vector<std::future<std::string>> sessions;
    for (int id = 0; id < SESSIONS; ++id) {
        sessions.push_back(std::async(std::launch::async, work, std::cref(host), id, std::cref(vectors)));
    }
    std::string wrong;
    for (auto &session : sessions) {
        const std::string what = session.get();
        if (wrong.empty()) wrong = what;
    }
    EQUAL(wrong, "");
    // Nothing was sent twice. Calls that waited travelled together, and connections were kept: as many as requests are out
    // at one time, which are one more than the option concurrency.
    EQUAL(count("texts") - texts, SESSIONS * STATEMENTS);
    const long sent = count("requests") - requests, connections = count("connections"), peak = count("peak");
    std::cout << "   " << SESSIONS * STATEMENTS << " calls, " << sent << " requests, " << connections << " connections, "
              << peak << " at one time" << std::endl;
    REQUIRE(sent < SESSIONS * STATEMENTS);
    REQUIRE(connections <= SESSIONS + 1);
    REQUIRE(peak > 4 && peak <= 9);
    EQUAL(main.value("SELECT count(*) FROM load_v"), std::to_string(TEXTS + SESSIONS * STATEMENTS / INSERT_EVERY));
    main.value("SELECT rembed_unregister('load')");
}

// Connections end all the time: what they leave must not be what others use.
void sessions_end_while_others_embed(const Host &host) {
    Session main(host.db);
    prepare(main, host, 1);
    const std::string expected = main.value("SELECT " + call(text(0)));
    const std::string own = quote(host.fake.scenario("own", R"({"latency_ms":1})"));
    std::atomic<bool> stop{false};
    std::vector<std::future<int>> embedders;
    for (int id = 0; id < 4; ++id) {
        embedders.push_back(std::async(std::launch::async, [&] {
            Session s(host.db);
            int right = 0;
            while (!stop) {
                if (s.value("SELECT " + call(text(0))) != expected) return -1;
                ++right;
            }
            return right;
        }));
    }
    for (int i = 0; i < 200; ++i) {
        auto guest = std::make_unique<Session>(host.db);
        guest->value("SELECT rembed_register('own', 'format', 'ollama', 'cache', 'off', 'url', " + own + ")");
        // Half of them hang up with the request under way, which the session's thread still waits for.
        auto reply = guest->send("SELECT length(rembed('own', 'hello'))");
        if (i % 2 == 0) EQUAL(*reply.get().rows.at(0).at(0), "3072");
    }
    stop = true;
    for (auto &embedder : embedders) REQUIRE(embedder.get() > 10);
    main.value("SELECT rembed_unregister('load')");
}

}  // namespace

std::vector<Case> load_cases() {
    return {
        {"32 sessions embed and search at once", thirty_two_sessions_at_once},
        {"sessions end while others embed", sessions_end_while_others_embed},
    };
}
