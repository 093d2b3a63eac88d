#include "session.h"

#include <unistd.h>

#include <stdexcept>

namespace {

constexpr useconds_t PAUSE = 100;

bool is_locked(int rc) { return rc == SQLITE_BUSY || rc == SQLITE_LOCKED; }

}  // namespace

Database::Database(const std::string &path) {
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX;
    if (sqlite3_open_v2(path.c_str(), &db_, flags, nullptr) != SQLITE_OK) {
        const std::string why = sqlite3_errmsg(db_);
        sqlite3_close_v2(db_);
        throw std::runtime_error("cannot open " + path + ": " + why);
    }
    execute("PRAGMA journal_mode=WAL");
    execute("PRAGMA journal_size_limit=67108864");
    execute("PRAGMA synchronous=0");
}

Database::~Database() {
    if (sqlite3_get_autocommit(db_) == 0) execute("COMMIT");
    sqlite3_close_v2(db_);
}

void Database::execute(const char *sql) {
    while (is_locked(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr))) usleep(PAUSE);
}

Reply Database::execute_statement(const std::string &sql) {
    Reply reply;
    sqlite3_stmt *stmt = nullptr;
    // For ever, unless a transaction is open.
    const auto again = [&] {
        if (!is_locked(reply.rc)) return false;
        ++reply.locked;
        if (sqlite3_get_autocommit(db_) == 0) return false;
        usleep(PAUSE);
        return true;
    };
    do {
        reply.rc = sqlite3_prepare_v2(db_, sql.c_str(), -1, &stmt, nullptr);
    } while (again());
    if (reply.rc != SQLITE_OK) {
        reply.error = sqlite3_errmsg(db_);
        return reply;
    }
    reply.columns = sqlite3_column_count(stmt);
    if (reply.columns == 0) {
        do {
            reply.rc = sqlite3_step(stmt);
        } while (again());
        reply.ok = reply.rc == SQLITE_DONE;
        if (reply.ok) reply.affected = sqlite3_changes(db_);
        else reply.error = sqlite3_errmsg(db_);
    } else {
        read(stmt, reply);
        // Whatever ended the rows: this is how the errors of a SELECT are lost.
        reply.ok = true;
    }
    sqlite3_finalize(stmt);
    return reply;
}

void Database::read(sqlite3_stmt *stmt, Reply &reply) {
    while ((reply.rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        Row row;
        for (int i = 0; i < reply.columns; ++i) {
            if (sqlite3_column_type(stmt, i) == SQLITE_NULL) {
                row.emplace_back();
                continue;
            }
            // Length first, and then the text, for BLOBs too.
            const auto size = static_cast<size_t>(sqlite3_column_bytes(stmt, i));
            const auto *text = reinterpret_cast<const char *>(sqlite3_column_text(stmt, i));
            row.emplace_back(text ? std::string(text, size) : std::string());
        }
        reply.rows.push_back(std::move(row));
    }
    if (is_locked(reply.rc)) ++reply.locked;
}

Session::Session(const std::string &path) : path_(path) {
    std::promise<sqlite3 *> opened;
    auto db = opened.get_future();
    thread_ = std::thread(&Session::serve, this, std::move(opened));
    try {
        db_ = db.get();
    } catch (...) {
        thread_.join();
        throw;
    }
}

Session::~Session() {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        closing_ = true;
    }
    ready_.notify_one();
    thread_.join();
}

void Session::serve(std::promise<sqlite3 *> opened) {
    std::optional<Database> db;
    try {
        db.emplace(path_);
    } catch (...) {
        opened.set_exception(std::current_exception());
        return;
    }
    opened.set_value(db->handle());
    for (;;) {
        std::unique_lock<std::mutex> lock(mutex_);
        ready_.wait(lock, [this] { return closing_ || !queue_.empty(); });
        if (queue_.empty()) return;
        Work work = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        work(*db);
    }
}

void Session::post(Work work) {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        queue_.push_back(std::move(work));
    }
    ready_.notify_one();
}

std::future<Reply> Session::send(const std::string &sql) {
    auto task = std::make_shared<std::packaged_task<Reply(Database &)>>(
        [sql](Database &db) { return db.execute_statement(sql); });
    auto reply = task->get_future();
    post([task](Database &db) { (*task)(db); });
    return reply;
}

std::string Session::value(const std::string &sql) {
    const Reply reply = ask(sql);
    if (!reply.ok) throw std::runtime_error(sql + ": " + reply.error);
    if (reply.rows.size() != 1 || reply.rows[0].size() != 1 || !reply.rows[0][0]) {
        const Reply why = ask("SELECT rembed_last_error()");
        throw std::runtime_error(sql + ": not one value but " + std::to_string(reply.rows.size()) + " rows; rc " +
                                 std::to_string(reply.rc) + ", last error: " + why.rows.at(0).at(0).value_or("none"));
    }
    return *reply.rows[0][0];
}

void Session::run(const std::string &sql) {
    const Reply reply = ask(sql);
    if (!reply.ok) throw std::runtime_error(sql + ": " + reply.error);
}

void Session::interrupt() { sqlite3_interrupt(db_); }

std::string quote(const std::string &text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
    return out + "'";
}
