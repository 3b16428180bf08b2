// Store: people's intent, durable: sessions, tasks, the lock, the hold after a close, and wrong passwords. One SQLite
// file, intent.db, in the safe's state directory. Every change is one transaction and on the medium when the call
// returns; a power cut leaves the one before or the one after. A store that cannot be read, or has gone missing, is an
// Error and never "nobody is inside": whoever asks must then leave the mode alone.
//
// Owns its connection; used from one thread at a time, by several processes at once. Times are passed in (clock.hpp).
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "reconciler/base/result.hpp"
#include "reconciler/intent/database.hpp"
#include "reconciler/intent/intent.hpp"

namespace safe::intent {

/// A live connection, as a gateway reports it.
struct Connection {
    std::string id;
    std::string user;
};

struct WrongPasswords {
    unsigned count = 0;
    WallTime last = {};  // meaningless while count is 0
    bool operator==(const WrongPasswords&) const = default;
};

class Store {
 public:
    /// Makes the store when this safe never had one.
    [[nodiscard]] static base::Result<Store> open(const std::filesystem::path& state_dir);

    /// What is there, without making anything: a safe that never had a store has an empty intent.
    [[nodiscard]] static base::Result<Snapshot> read(const std::filesystem::path& state_dir);

    [[nodiscard]] base::Result<Snapshot> snapshot();

    // --- sessions
    /// Everybody who is connected through `source` now: the others of that source have left. During a hold nobody is
    /// let in again. Idempotent.
    [[nodiscard]] base::Result<void> report(const std::string& source, const std::vector<Connection>& connections,
                                            const Now& now);
    /// A local session of `user`, of `length`; replaces the one that they have.
    [[nodiscard]] base::Result<void> begin_local(const std::string& user, std::chrono::seconds length, const Now& now);
    /// As if it had never begun, without linger: for an opening that failed. `former` is what it replaced, if anything.
    [[nodiscard]] base::Result<void> void_local(const std::string& user,
                                                const std::optional<Session>& former = std::nullopt);
    /// Ends whatever sessions and tasks `user` has, at once and without linger.
    [[nodiscard]] base::Result<void> expel(const std::string& user);
    /// Ends every session, at once and without linger, and refuses logins for close_hold. With `cancel_tasks`, those
    /// too.
    [[nodiscard]] base::Result<void> close(bool cancel_tasks, const Now& now);
    /// Sessions that nobody will ask about again are forgotten: of another boot, or ended longer than `linger` ago.
    [[nodiscard]] base::Result<void> tidy(std::chrono::seconds linger, const Now& now);

    // --- tasks; what may be is requests.hpp's to say
    [[nodiscard]] base::Result<void> put_task(const Task& task);
    [[nodiscard]] base::Result<void> remove_task(const std::string& name);

    // --- lock
    /// Sets it and ends every session, so that unlocking leads to closed. A lock that is there stays as it is.
    [[nodiscard]] base::Result<void> lock(const Lock& lock);
    /// Takes `seen` away; ends what has begun meanwhile and holds, as close() does. Tasks go on waiting for a key.
    /// Refused, and nothing is touched, when another lock holds by now, or none.
    [[nodiscard]] base::Result<void> unlock(const Lock& seen, const Now& now);

    // --- wrong passwords
    [[nodiscard]] base::Result<WrongPasswords> wrong_passwords(std::string_view user, std::string_view source);
    /// In one transaction, which begins before `change` is asked. A count of 0 forgets the pair.
    [[nodiscard]] base::Result<void> change_wrong_passwords(
        std::string_view user, std::string_view source,
        const std::function<WrongPasswords(const WrongPasswords& kept)>& change);

 private:
    explicit Store(Database database) : database_(std::move(database)) {}
    [[nodiscard]] static base::Result<Store> open_existing(const std::filesystem::path& file);
    /// All of it or nothing.
    template <class Change>
    base::Result<void> transaction(Change change);
    [[nodiscard]] base::Result<std::optional<Lock>> kept_lock();
    [[nodiscard]] base::Result<void> set(const std::string& statement, const std::vector<Cell>& bound = {});
    [[nodiscard]] base::Result<void> end_all(const Now& now);

    Database database_;
};

}  // namespace safe::intent
