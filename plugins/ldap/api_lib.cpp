#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <mutex>

#include "plugins/ldap/escaping.hpp"
#include "plugins/ldap/ldap_lib.hpp"

namespace safe::ldap {

Values* Entry::find(std::string_view attribute) {
    const auto found = std::ranges::find_if(
        attributes, [&](const Attribute& candidate) { return same_name(candidate.name, attribute); });
    return found == attributes.end() ? nullptr : &found->values;
}

const Values* Entry::find(std::string_view attribute) const { return const_cast<Entry*>(this)->find(attribute); }

std::string_view Entry::first(std::string_view attribute) const {
    const Values* values = find(attribute);
    return values == nullptr || values->empty() ? std::string_view() : std::string_view(values->front());
}

Answer<std::vector<Entry>> Api::search(const Query& query) {
    std::vector<Entry> all;
    if (auto searched = search(query, [&](Entry entry) { all.push_back(std::move(entry)); }); !searched)
        return std::unexpected(std::move(searched.error()));
    return all;
}

namespace {

constexpr int page_size = 1000;
constexpr std::size_t most_entries = 200'000;  // of one search; a server that goes on for ever is cut short
constexpr int pages_patience = 6;              // times the patience for one answer, for all pages together

/// Attributes in the form of libldap: arrays of pointers, ending in a null one, into strings that outlive them.
class Modifications {
 public:
    explicit Modifications(const std::vector<Modification>& changes) {
        for (const Modification& change : changes) append(code_of(change.how), change.attribute, change.values);
    }
    explicit Modifications(const std::vector<Attribute>& attributes) {
        for (const Attribute& attribute : attributes) append(LDAP_MOD_ADD, attribute.name, attribute.values);
    }
    [[nodiscard]] LDAPMod** get() {
        pointers_.clear();
        for (One& one : all_) {
            one.pointers.clear();
            for (berval& value : one.values) one.pointers.push_back(&value);
            one.pointers.push_back(nullptr);
            one.code.mod_vals.modv_bvals = one.values.empty() ? nullptr : one.pointers.data();
            pointers_.push_back(&one.code);
        }
        pointers_.push_back(nullptr);
        return pointers_.data();
    }

 private:
    struct One {
        LDAPMod code{};
        std::vector<berval> values;
        std::vector<berval*> pointers;
    };

    static int code_of(Modification::How how) {
        switch (how) {
            case Modification::How::add:
                return LDAP_MOD_ADD;
            case Modification::How::remove:
                return LDAP_MOD_DELETE;
            case Modification::How::replace:
                break;
        }
        return LDAP_MOD_REPLACE;
    }

    // libldap takes pointers to what it only reads.
    void append(int how, const std::string& attribute, const Values& values) {
        One one;
        one.code.mod_op = how | LDAP_MOD_BVALUES;
        one.code.mod_type = const_cast<char*>(attribute.c_str());
        for (const std::string& value : values) one.values.push_back({value.size(), const_cast<char*>(value.data())});
        all_.push_back(std::move(one));
    }

    std::deque<One> all_;
    std::vector<LDAPMod*> pointers_;
};

Entry entry_of(LDAP* handle, LDAPMessage* message, std::size_t expected) {
    Entry entry;
    BerElement* raw = nullptr;
    berval name{};
    if (ldap_get_dn_ber(handle, message, &raw, &name) != LDAP_SUCCESS) return entry;
    const Element element(raw);
    entry.name.assign(name.bv_val, name.bv_len);
    entry.attributes.reserve(expected);
    berval attribute{};
    berval* values = nullptr;
    while (ldap_get_attribute_ber(handle, message, raw, &attribute, &values) == LDAP_SUCCESS &&
           attribute.bv_val != nullptr) {
        Attribute& read = entry.attributes.emplace_back();
        read.name.assign(attribute.bv_val, attribute.bv_len);
        const berval* end = values;
        while (end != nullptr && end->bv_val != nullptr) ++end;
        read.values.reserve(static_cast<std::size_t>(end - values));
        for (const berval* value = values; value != end; ++value)
            read.values.emplace_back(value->bv_val, value->bv_len);
        ber_memfree(values);
        values = nullptr;
    }
    return entry;
}

class Server final : public Api {
 public:
    explicit Server(Options options) : options_(std::move(options)) {}

    using Api::modify;
    using Api::search;

    Answer<void> search(const Query& query, const std::function<void(Entry)>& found) override {
        const std::scoped_lock lock(mutex_);
        const bool kept = line_ != nullptr && !broken_;
        if (auto connected = connect_if_needed(); !connected) return connected;
        std::size_t count = 0;
        Answer<void> searched = search_once(query, found, count);
        // A connection that the server has closed since shows only now; reading may be repeated.
        if (!searched && kept && count == 0 && searched.error().kind == Failure::Kind::unreachable) {
            if (auto connected = connect_if_needed(); !connected) return connected;
            searched = search_once(query, found, count);
        }
        return searched;
    }

    Answer<void> add(const Entry& entry) override {
        Modifications attributes(entry.attributes);
        return write("add", entry.name, [&](LDAP* handle) {
            return ldap_add_ext_s(handle, entry.name.c_str(), attributes.get(), nullptr, nullptr);
        });
    }

    Answer<void> modify(const std::string& name, const std::vector<Modification>& changes,
                        const std::string& assertion) override {
        Modifications modifications(changes);
        std::string filter = assertion;  // libldap takes what it only reads
        return write("change", name, [&](LDAP* handle) {
            LDAPControl* raw = nullptr;
            if (!filter.empty())
                if (const int code = ldap_create_assertion_control(handle, filter.data(), 1, &raw);
                    code != LDAP_SUCCESS)
                    return code;
            const Control control(raw);
            std::array<LDAPControl*, 2> controls{raw, nullptr};
            return ldap_modify_ext_s(handle, name.c_str(), modifications.get(), controls.data(), nullptr);
        });
    }

    Answer<void> remove(const std::string& name) override {
        return write("remove", name,
                     [&](LDAP* handle) { return ldap_delete_ext_s(handle, name.c_str(), nullptr, nullptr); });
    }

    Answer<bool> binds(const std::string& name, const base::Secret& password) override {
        if (password.empty())
            return std::unexpected(
                Failure{Failure::Kind::failed,
                        {"log in as", name, "the password is empty", "give one", base::Error::Kind::refused}});
        const Answer<std::unique_ptr<Line>> line = Line::open(options_);
        if (!line) return std::unexpected(line.error());
        const int code = (*line)->bind(name, password);
        if (code == LDAP_SUCCESS) return true;
        // The second: the entry has no password at all (RFC 4513, 5.1.3 leaves the choice to the server).
        if (code == LDAP_INVALID_CREDENTIALS || code == LDAP_INAPPROPRIATE_AUTH) return false;
        return std::unexpected(failure_of((*line)->handle(), code, "log in as", name));
    }

 private:
    using Clock = std::chrono::steady_clock;

    Answer<void> connect_if_needed() {
        if (line_ && !broken_) return {};
        line_.reset();
        broken_ = false;
        Answer<std::unique_ptr<Line>> line = open_and_bind(options_);
        if (!line) return std::unexpected(std::move(line.error()));
        line_ = std::move(*line);
        return {};
    }

    Failure failed(int code, std::string attempt, std::string object) {
        Failure failure = failure_of(line_->handle(), code, std::move(attempt), std::move(object));
        // After these nothing is known of the connection, and an answer that comes late must not be taken for another.
        broken_ = broken_ || code < 0 || code == LDAP_UNAVAILABLE || code == LDAP_BUSY;
        return failure;
    }

    Answer<void> write(const std::string& attempt, const std::string& name, const std::function<int(LDAP*)>& call) {
        const std::scoped_lock lock(mutex_);
        // A write is never repeated, so whether the connection still stands is asked with something that may be.
        std::size_t count = 0;
        if (line_) broken_ = broken_ || !search_once(nothing_of_the_root(), [](const Entry&) {}, count);
        if (auto connected = connect_if_needed(); !connected) return connected;
        int code = LDAP_OTHER;
        {
            const Line::Call under_way(*line_);
            code = call(line_->handle());
        }
        if (code != LDAP_SUCCESS) return std::unexpected(failed(code, attempt, name));
        return {};
    }

    static Query nothing_of_the_root() {
        return {.base = "", .depth = Query::Depth::itself, .attributes = {LDAP_NO_ATTRS}};
    }

    /// Counts in `count` what it gives to `found`.
    Answer<void> search_once(const Query& query, const std::function<void(Entry)>& found, std::size_t& count) {
        const Clock::time_point end = Clock::now() + options_.patience * pages_patience;
        berval raw_cookie{};
        const BerCookie cookie(&raw_cookie);
        do {
            const Line::Call under_way(*line_);
            const Answer<int> request = ask_for_page(query, raw_cookie);
            if (!request) return std::unexpected(request.error());
            broken_ = true;  // until the page's last message is read: whoever comes next must not be given the rest
            for (bool last = false; !last;) {
                const Answer<Message> message = next_message(query, *request);
                if (!message) return std::unexpected(message.error());
                auto taken = take(query, message->get(), raw_cookie, found, count);
                if (!taken) return std::unexpected(std::move(taken.error()));
                last = *taken;
                if (count > most_entries || Clock::now() > end)
                    return std::unexpected(Failure{Failure::Kind::failed,
                                                   {"search", query.base, "the server's answer does not end",
                                                    "look at what the server holds below that name"}});
            }
        } while (raw_cookie.bv_len > 0);
        return {};
    }

    struct FreeCookie {
        void operator()(berval* cookie) const noexcept { ber_memfree(cookie->bv_val); }
    };
    using BerCookie = std::unique_ptr<berval, FreeCookie>;

    /// The number of the request. `cookie` is that of the page; empty for the first.
    Answer<int> ask_for_page(const Query& query, berval& cookie) {
        LDAP* handle = line_->handle();
        const bool whole = query.depth == Query::Depth::itself;
        LDAPControl* raw_control = nullptr;
        if (!whole)
            if (const int code = ldap_create_page_control(handle, page_size, &cookie, 1, &raw_control);
                code != LDAP_SUCCESS)
                return std::unexpected(failed(code, "search", query.base));
        const Control control(raw_control);
        std::array<LDAPControl*, 2> controls{raw_control, nullptr};
        std::vector<char*> wanted;
        wanted.reserve(query.attributes.size() + 1);
        for (const std::string& attribute : query.attributes) wanted.push_back(const_cast<char*>(attribute.c_str()));
        wanted.push_back(nullptr);
        const int scope = whole                                   ? LDAP_SCOPE_BASE
                          : query.depth == Query::Depth::children ? LDAP_SCOPE_ONELEVEL
                                                                  : LDAP_SCOPE_SUBTREE;
        timeval time = to_timeval(options_.patience);
        int request = 0;
        const int code = ldap_search_ext(handle, query.base.c_str(), scope, query.filter.c_str(),
                                         query.attributes.empty() ? nullptr : wanted.data(), 0,
                                         whole ? nullptr : controls.data(), nullptr, &time, LDAP_NO_LIMIT, &request);
        if (code != LDAP_SUCCESS) return std::unexpected(failed(code, "search", query.base));
        return request;
    }

    Answer<Message> next_message(const Query& query, int request) {
        LDAP* handle = line_->handle();
        timeval time = to_timeval(options_.patience);
        LDAPMessage* raw = nullptr;
        const int type = ldap_result(handle, request, LDAP_MSG_ONE, &time, &raw);
        if (type > 0) return Message(raw);
        int code = LDAP_TIMEOUT;
        if (type < 0) ldap_get_option(handle, LDAP_OPT_RESULT_CODE, &code);
        return std::unexpected(failed(code == LDAP_SUCCESS ? LDAP_SERVER_DOWN : code, "search", query.base));
    }

    /// Whether it was the last message of its page; `cookie` is then the one of the next, and empty behind the last.
    Answer<bool> take(const Query& query, LDAPMessage* message, berval& cookie, const std::function<void(Entry)>& found,
                      std::size_t& count) {
        switch (ldap_msgtype(message)) {
            case LDAP_RES_SEARCH_ENTRY:
                ++count;
                found(entry_of(line_->handle(), message, query.attributes.size()));
                return false;
            case LDAP_RES_SEARCH_REFERENCE:
                return std::unexpected(Failure{Failure::Kind::failed,
                                               {"search", query.base, "the server refers to another one",
                                                "name the server that holds the entries itself"}});
            case LDAP_RES_SEARCH_RESULT:
                broken_ = false;
                if (auto read = read_cookie(query, message, cookie); !read)
                    return std::unexpected(std::move(read.error()));
                return true;
            default:
                return false;
        }
    }

    Answer<void> read_cookie(const Query& query, LDAPMessage* message, berval& cookie) {
        LDAP* handle = line_->handle();
        LDAPControl** controls = nullptr;
        int result = LDAP_OTHER;
        if (const int code = ldap_parse_result(handle, message, &result, nullptr, nullptr, nullptr, &controls, 0);
            code != LDAP_SUCCESS)
            return std::unexpected(failed(code, "search", query.base));
        const base::UniqueHandle<LDAPControl*, ldap_controls_free> owned(controls);
        if (result != LDAP_SUCCESS) return std::unexpected(failed(result, "search", query.base));
        ber_memfree(cookie.bv_val);
        cookie = {};
        if (query.depth == Query::Depth::itself) return {};
        LDAPControl* paged = ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, controls, nullptr);
        if (paged == nullptr) return {};  // a server without pages has sent everything
        ber_int_t estimate = 0;
        if (const int code = ldap_parse_pageresponse_control(handle, paged, &estimate, &cookie); code != LDAP_SUCCESS)
            return std::unexpected(failed(code, "search", query.base));
        return {};
    }

    const Options options_;
    std::mutex mutex_;  // guards the two below; held for a whole call, so that requests go one at a time
    std::unique_ptr<Line> line_;
    bool broken_ = false;  // to be made anew before the next call
};

}  // namespace

std::unique_ptr<Api> make_api(Options options) { return std::make_unique<Server>(std::move(options)); }

}  // namespace safe::ldap
