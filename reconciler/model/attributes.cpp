#include "reconciler/model/attributes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

namespace safe::model {
namespace {

constexpr std::size_t usual_length = 512;

/// Writes trees to the end of one text: there may be tens of thousands of them in a plan.
class CanonicalWriter {
 public:
    explicit CanonicalWriter(std::string& out) : out_(out) {}

    void operator()(bool value) { out_ += value ? "true" : "false"; }
    void operator()(std::int64_t value) { out_ += fmt::format_int(value).c_str(); }
    void operator()(Bytes value) { (out_ += fmt::format_int(value.count).c_str()) += 'B'; }
    /// Between quotes, with every quote and backslash escaped: nothing else can end it early.
    void operator()(const std::string& value) {
        out_ += '"';
        if (value.find('"') == std::string::npos && value.find('\\') == std::string::npos) {
            out_ += value;
        } else {
            for (const char c : value) {
                if (c == '"' || c == '\\') out_ += '\\';
                out_ += c;
            }
        }
        out_ += '"';
    }
    void operator()(const Value& value) {
        const Branch* branch = value.branch();
        branch == nullptr ? std::visit(*this, *value.scalar()) : (*this)(*branch);
    }
    void operator()(const Branch& branch) {
        out_ += branch.ordered() ? '[' : '{';
        for (const Entry& entry : branch.entries()) {
            (*this)(entry.key);
            out_ += ':';
            (*this)(entry.value);
            out_ += ',';
        }
        out_ += branch.ordered() ? ']' : '}';
    }

 private:
    std::string& out_;
};

struct ReadableScalar {
    std::string operator()(bool value) const { return value ? "yes" : "no"; }
    std::string operator()(std::int64_t value) const { return fmt::format("{}", value); }
    std::string operator()(Bytes value) const { return to_text(value); }
    std::string operator()(const std::string& value) const { return value; }
};

}  // namespace

Branch::Branch() = default;
Branch::Branch(Order order) : order_(order) {}
Branch::Branch(Order order, std::vector<Entry> entries) : order_(order), entries_(std::move(entries)) {
    if (!ordered() && !std::ranges::is_sorted(entries_, {}, &Entry::key)) std::ranges::sort(entries_, {}, &Entry::key);
}
Branch::Branch(const Branch& other) = default;
Branch::Branch(Branch&& other) noexcept = default;
Branch& Branch::operator=(const Branch& other) = default;
Branch& Branch::operator=(Branch&& other) noexcept = default;
Branch::~Branch() = default;

Branch& Branch::set(std::string_view key, Value value) {
    const auto place = ordered() ? std::ranges::find(entries_, key, &Entry::key)
                                 : std::ranges::lower_bound(entries_, key, {}, &Entry::key);
    if (place != entries_.end() && place->key == key)
        place->value = std::move(value);
    else
        entries_.insert(place, Entry{std::string(key), std::move(value)});
    return *this;
}

const Value* Branch::find(std::string_view key) const {
    const auto place = ordered() ? std::ranges::find(entries_, key, &Entry::key)
                                 : std::ranges::lower_bound(entries_, key, {}, &Entry::key);
    return place != entries_.end() && place->key == key ? &place->value : nullptr;
}

bool Branch::empty() const { return entries_.empty(); }

bool Branch::operator==(const Branch& other) const = default;

std::string canonical_text(const Branch& branch) {
    std::string out;
    out.reserve(usual_length);
    CanonicalWriter{out}(branch);
    return out;
}

std::string to_text(const Value& value) {
    if (const Scalar* scalar = value.scalar()) return std::visit(ReadableScalar{}, *scalar);
    std::string out;
    for (const Entry& entry : value.branch()->entries()) {
        if (!out.empty()) out += ", ";
        out += entry.key + ": " + to_text(entry.value);
    }
    return "{" + out + "}";
}

std::string to_text(Bytes bytes) {
    static constexpr std::array<std::string_view, 6> units{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    std::size_t unit = 0;
    auto amount = static_cast<double>(bytes.count);
    while (amount >= 1024 && unit + 1 < units.size()) {
        amount /= 1024;
        ++unit;
    }
    const std::string number = fmt::format("{:.1f}", amount);
    return (number.ends_with(".0") ? number.substr(0, number.size() - 2) : number) + " " + std::string(units[unit]);
}

}  // namespace safe::model
