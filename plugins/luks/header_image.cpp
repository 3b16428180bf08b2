#include "plugins/luks/header_image.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <set>

#include "reconciler/base/digest.hpp"

namespace safe::luks {
namespace {

using base::Result;

constexpr std::string_view primary_magic("LUKS\xba\xbe", 6);
constexpr std::string_view secondary_magic("SKUL\xba\xbe", 6);

// Offsets in the fixed part.
constexpr std::size_t version_at = 6;
constexpr std::size_t size_at = 8;
constexpr std::size_t sequence_at = 16;
constexpr std::size_t label_at = 24;
constexpr std::size_t checksum_name_at = 72;
constexpr std::size_t salt_at = 104;
constexpr std::size_t uuid_at = 168;
constexpr std::size_t subsystem_at = 208;
constexpr std::size_t offset_at = 256;
constexpr std::size_t checksum_at = 448;
constexpr std::size_t checksum_field = 64;
constexpr std::size_t label_size = 48;
constexpr std::size_t uuid_size = 40;
constexpr std::size_t salt_size = 64;
constexpr std::string_view checksum_name = "sha256";

// Of the metadata, keys' values and elements of arrays alike. A header has 32 keyslots and 32 tokens, and each some
// twenty values; other people's tokens may have many more. The depth is that at which libcryptsetup's parser gives up.
constexpr std::size_t most_values = 65536;
constexpr std::size_t most_depth = 32;

std::uint64_t number_at(std::string_view bytes, std::size_t at, std::size_t size) {
    std::uint64_t number = 0;
    for (const char byte : bytes.substr(at, size)) number = (number << 8U) | static_cast<unsigned char>(byte);
    return number;
}

void put_number(std::string& bytes, std::size_t at, std::size_t size, std::uint64_t number) {
    for (std::size_t i = 0; i < size; ++i) bytes[at + size - 1 - i] = static_cast<char>((number >> (8 * i)) & 0xffU);
}

/// Up to the first NUL; a field without one is not text of this format.
std::string text_at(std::string_view bytes, std::size_t at, std::size_t size) {
    const std::string_view field = bytes.substr(at, size);
    const auto end = field.find('\0');
    return end == std::string_view::npos ? std::string() : std::string(field.substr(0, end));
}

int digit(char character) { return character <= '9' ? character - '0' : character - 'a' + 10; }

std::string checksum_of(std::string copy) {
    std::fill_n(copy.begin() + checksum_at, checksum_field, '\0');
    const std::string hex = base::sha256_hex(copy);
    std::string checksum(checksum_field, '\0');
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        checksum[i / 2] = static_cast<char>((digit(hex[i]) << 4) | digit(hex[i + 1]));
    return checksum;
}

bool is_uuid(std::string_view text) {
    constexpr std::string_view shape = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    return text.size() == shape.size() && std::ranges::equal(text, shape, [](char character, char wanted) {
               if (wanted == '-') return character == '-';
               return (character >= '0' && character <= '9') || (character >= 'a' && character <= 'f');
           });
}

/// Goes through metadata before anything is made of it, and gives up at the first thing that it must not have: a
/// checksum is no signature, so whoever can write to the device writes what is read here.
class Inspector final : public nlohmann::json_sax<Json> {
 public:
    /// Empty: nothing was found that must not be there.
    [[nodiscard]] const std::string& fault() const { return fault_; }

    bool null() override { return count(); }
    bool boolean(bool /*value*/) override { return count(); }
    bool number_integer(number_integer_t /*value*/) override { return count(); }
    bool number_unsigned(number_unsigned_t /*value*/) override { return count(); }
    bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return count(); }
    bool string(string_t& /*value*/) override { return count(); }
    bool binary(binary_t& /*value*/) override { return count(); }
    bool start_object(std::size_t /*size*/) override { return enter(); }
    bool end_object() override { return leave(); }
    bool start_array(std::size_t /*size*/) override { return enter(); }
    bool end_array() override { return leave(); }
    /// Two parsers need not agree on which of two equal keys counts.
    bool key(string_t& name) override {
        return keys_.back().insert(std::move(name)).second || give_up("its metadata has a key twice");
    }
    bool parse_error(std::size_t /*at*/, const std::string& /*token*/, const Json::exception& /*why*/) override {
        return give_up("its metadata is not a JSON object");
    }

 private:
    bool count() {
        return ++values_ <= most_values || give_up(fmt::format("its metadata has more than {} values", most_values));
    }
    bool enter() {
        keys_.emplace_back();
        return count() && (keys_.size() <= most_depth ||
                           give_up(fmt::format("its metadata is nested more than {} deep", most_depth)));
    }
    bool leave() {
        keys_.pop_back();
        return true;
    }
    bool give_up(std::string fault) {
        fault_ = std::move(fault);
        return false;
    }

    std::size_t values_ = 0;
    std::vector<std::set<std::string>> keys_;  // of every object and array that we are inside of
    std::string fault_;
};

/// The metadata of a copy: one object from its first byte, and nothing but NUL after it.
std::optional<Json> parse_metadata(std::string_view area, std::string& fault) {
    const auto end = area.find('\0');
    if (area.empty() || area.front() != '{' || end == std::string_view::npos ||
        area.find_first_not_of('\0', end) != std::string_view::npos) {
        fault = "its metadata is not one object followed by zeros";
        return std::nullopt;
    }
    Inspector inspector;
    if (!Json::sax_parse(area.substr(0, end), &inspector)) {
        fault = inspector.fault();
        return std::nullopt;
    }
    return Json::parse(area.substr(0, end));
}

/// The copy at `offset`; nullopt with `fault` said when it is not good.
Result<std::optional<Header>> read_copy(const Reader& read, std::uint64_t offset, Copy copy, std::string& fault) {
    const auto bad = [&fault](std::string why) {
        fault = std::move(why);
        return Result<std::optional<Header>>(std::nullopt);
    };
    Result<std::string> fixed = read(offset, binary_size);
    if (!fixed) return base::fail(fixed.error());
    if (fixed->size() < binary_size || !fixed->starts_with(copy == Copy::primary ? primary_magic : secondary_magic))
        return bad("it does not begin like a LUKS header");
    if (number_at(*fixed, version_at, 2) != 2) return bad("it is not of version 2");
    Header header;
    header.copy_size = number_at(*fixed, size_at, 8);
    if (std::ranges::find(copy_sizes, header.copy_size) == copy_sizes.end()) return bad("its size is none of LUKS2's");
    if (number_at(*fixed, offset_at, 8) != offset) return bad("it says that it belongs elsewhere");
    if (copy == Copy::secondary && header.copy_size != offset) return bad("it lies where none of its size can");
    if (text_at(*fixed, checksum_name_at, 32) != checksum_name) return bad("its checksum is not sha256");
    Result<std::string> whole = read(offset, header.copy_size);
    if (!whole) return base::fail(whole.error());
    if (whole->size() < header.copy_size) return bad("the device ends inside it");
    if (checksum_of(*whole) != whole->substr(checksum_at, checksum_field)) return bad("its checksum is wrong");
    header.sequence = number_at(*whole, sequence_at, 8);
    header.label = text_at(*whole, label_at, label_size);
    header.uuid = text_at(*whole, uuid_at, uuid_size);
    header.subsystem = text_at(*whole, subsystem_at, label_size);
    header.salt = whole->substr(salt_at, salt_size);
    if (!is_uuid(header.uuid)) return bad("it has no UUID");
    std::optional<Json> metadata = parse_metadata(std::string_view(*whole).substr(binary_size), fault);
    if (!metadata) return Result<std::optional<Header>>(std::nullopt);
    header.metadata = *std::move(metadata);
    return Result<std::optional<Header>>(std::move(header));
}

bool same_content(const Header& one, const Header& other) {
    return one.uuid == other.uuid && one.label == other.label && one.subsystem == other.subsystem &&
           one.copy_size == other.copy_size && one.metadata == other.metadata;
}

/// Which of two good copies counts, as libcryptsetup has it: the one changed last.
void choose(Copies& copies, std::optional<Header> primary, std::optional<Header> secondary) {
    if (!primary || !secondary) {
        copies.header = primary ? std::move(primary) : std::move(secondary);
        return;
    }
    if (primary->sequence == secondary->sequence && !same_content(*primary, *secondary)) {
        copies.primary_fault = copies.secondary_fault = "the two copies say different things";
        return;
    }
    if (primary->sequence < secondary->sequence) {
        copies.primary_fault = "it is older than the second copy";
        copies.header = std::move(secondary);
        return;
    }
    if (primary->sequence > secondary->sequence) copies.secondary_fault = "it is older than the first copy";
    copies.header = std::move(primary);
}

}  // namespace

std::string claimed_uuid(std::string_view image) {
    if (image.size() < binary_size || !image.starts_with(primary_magic)) return {};
    return text_at(image, uuid_at, uuid_size);
}

Result<Copies> read_copies(const Reader& read) {
    Copies copies;
    const Result<std::string> first = read(0, binary_size);
    if (!first) return base::fail(first.error());
    if (first->size() == binary_size && first->starts_with(primary_magic)) {
        copies.any_magic = true;
        copies.claimed_uuid = text_at(*first, uuid_at, uuid_size);
        copies.claimed_subsystem = text_at(*first, subsystem_at, label_size);
    }
    Result<std::optional<Header>> primary = read_copy(read, 0, Copy::primary, copies.primary_fault);
    if (!primary) return base::fail(primary.error());

    std::optional<Header> secondary;
    copies.secondary_fault = "it does not begin like a LUKS header";
    for (const std::uint64_t offset : copy_sizes) {
        // With a good first copy there is one place only; without, the second may lie in any.
        if (*primary && (*primary)->copy_size != offset) continue;
        const Result<std::string> start = read(offset, secondary_magic.size());
        if (!start) return base::fail(start.error());
        if (*start != secondary_magic) continue;
        copies.any_magic = true;
        std::string fault;
        Result<std::optional<Header>> found = read_copy(read, offset, Copy::secondary, fault);
        if (!found) return base::fail(found.error());
        copies.secondary_fault = fault;
        if (!*found) continue;
        secondary = *std::move(found);
        break;
    }
    choose(copies, *std::move(primary), std::move(secondary));
    return copies;
}

Result<std::string> render(const Header& header, Copy copy) {
    const auto cannot = [](std::string cause) {
        return base::fail({.attempt = "write", .object = "a LUKS header", .cause = std::move(cause)});
    };
    if (std::ranges::find(copy_sizes, header.copy_size) == copy_sizes.end())
        return cannot("its size is none of LUKS2's");
    if (header.label.size() >= label_size || header.subsystem.size() >= label_size || header.uuid.size() >= uuid_size ||
        header.salt.size() != salt_size)
        return cannot("a name in it is too long");
    const std::string metadata = header.metadata.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (metadata.size() + 1 > header.copy_size - binary_size)
        return cannot(fmt::format("its {} KiB of metadata are full", (header.copy_size - binary_size) / kibibyte));
    std::string bytes(header.copy_size, '\0');
    const std::string_view magic = copy == Copy::primary ? primary_magic : secondary_magic;
    bytes.replace(0, magic.size(), magic);
    put_number(bytes, version_at, 2, 2);
    put_number(bytes, size_at, 8, header.copy_size);
    put_number(bytes, sequence_at, 8, header.sequence);
    bytes.replace(label_at, header.label.size(), header.label);
    bytes.replace(checksum_name_at, checksum_name.size(), checksum_name);
    // Each copy's own salt, so that a storage system that joins equal blocks never makes the two copies one.
    std::string salt = header.salt;
    if (copy == Copy::secondary)
        for (char& byte : salt) byte = static_cast<char>(static_cast<unsigned char>(byte) ^ 0xffU);
    bytes.replace(salt_at, salt.size(), salt);
    bytes.replace(uuid_at, header.uuid.size(), header.uuid);
    bytes.replace(subsystem_at, header.subsystem.size(), header.subsystem);
    put_number(bytes, offset_at, 8, copy == Copy::primary ? 0 : header.copy_size);
    bytes.replace(binary_size, metadata.size(), metadata);
    bytes.replace(checksum_at, checksum_field, checksum_of(bytes));
    return bytes;
}

Result<std::string> render_both(const Header& header) {
    Result<std::string> primary = render(header, Copy::primary);
    if (!primary) return primary;
    const Result<std::string> secondary = render(header, Copy::secondary);
    if (!secondary) return secondary;
    return *primary + *secondary;
}

std::uint64_t end_of_areas(const Header& header) {
    const auto areas = number_in(object_in(header.metadata, "config"), "keyslots_size");
    constexpr std::uint64_t limit = 128 * mebibyte;  // of the format
    return areas && *areas <= limit ? 2 * header.copy_size + *areas : 0;
}

std::uint64_t end_of_keyslots(const Header& header) {
    std::uint64_t end = 2 * header.copy_size;
    for (const auto& [slot, content] : object_in(header.metadata, "keyslots").items()) {
        const Json& area = object_in(content, "area");
        end = std::max(end, number_in(area, "offset").value_or(0) + number_in(area, "size").value_or(0));
    }
    return std::min(end, end_of_areas(header));
}

std::optional<std::uint64_t> number_in(const Json& object, std::string_view key) {
    const std::string text = text_in(object, key);
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
}

const Json& object_in(const Json& object, std::string_view key) {
    static const Json none = Json::object();
    if (!object.is_object()) return none;
    const auto found = object.find(key);
    return found != object.end() && found->is_object() ? *found : none;
}

std::string text_in(const Json& object, std::string_view key) {
    if (!object.is_object()) return {};
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace safe::luks
