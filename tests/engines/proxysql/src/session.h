// A session of ProxySQL's SQLite3 Server: one thread, one connection, statements as text.
//
// What matters for an extension is copied from how that server behaves: a statement is prepared and stepped in a
// loop that repeats SQLITE_BUSY and SQLITE_LOCKED for ever, the error of a SELECT's step is dropped, and every
// field is read as text. Nothing is bound. The tests see what the server's clients see, and `rc` and `locked` besides.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "sqlite3.h"

using Row = std::vector<std::optional<std::string>>;

struct Reply {
    bool ok = false;
    std::string error;
    int columns = 0;
    int affected = 0;
    std::vector<Row> rows;
    // The server keeps neither of these.
    int rc = SQLITE_OK;  // of the last step, or of the preparation
    int locked = 0;      // how often SQLite answered BUSY or LOCKED
};

// The connection of one session.
class Database {
public:
    explicit Database(const std::string &path);
    ~Database();
    Database(const Database &) = delete;
    Database &operator=(const Database &) = delete;

    Reply execute_statement(const std::string &sql);
    sqlite3 *handle() const { return db_; }

private:
    void execute(const char *sql);
    void read(sqlite3_stmt *stmt, Reply &reply);

    sqlite3 *db_ = nullptr;
};

// The thread of one session, which opens, uses and closes its connection.
class Session {
public:
    explicit Session(const std::string &path);
    // As when the client hangs up: what was sent is still answered.
    ~Session();

    std::future<Reply> send(const std::string &sql);
    Reply ask(const std::string &sql) { return send(sql).get(); }

    // The one field of the one row; throws when the reply is anything else.
    std::string value(const std::string &sql);
    // Throws when the statement fails.
    void run(const std::string &sql);

    // Runs `work` on the session's thread.
    template <typename T>
    T with(std::function<T(sqlite3 *)> work) {
        auto task = std::make_shared<std::packaged_task<T(Database &)>>(
            [work](Database &db) { return work(db.handle()); });
        auto result = task->get_future();
        post([task](Database &db) { (*task)(db); });
        return result.get();
    }

    // From any thread, as sqlite3_interrupt() itself.
    void interrupt();

private:
    using Work = std::function<void(Database &)>;
    void post(Work work);
    void serve(std::promise<sqlite3 *> opened);

    std::string path_;
    sqlite3 *db_ = nullptr;
    std::mutex mutex_;
    std::condition_variable ready_;
    std::deque<Work> queue_;
    bool closing_ = false;
    std::thread thread_;  // last: it uses the rest
};

// `text` as an SQL literal.
std::string quote(const std::string &text);
