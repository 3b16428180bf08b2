#include "plugins/luks/header_policy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "plugins/luks/tokens.hpp"

namespace safe::luks {
namespace {

constexpr std::array<std::string_view, 4> ciphers{"aes-xts-plain64", "serpent-xts-plain64", "twofish-xts-plain64",
                                                  "camellia-xts-plain64"};
constexpr std::array<std::string_view, 2> hashes{"sha256", "sha512"};

// A passphrase here is a random or derived key of 256 bits at least, so a low cost weakens nothing; a high one would
// only hold us up, and a very low one is nothing that anybody's tool has made.
constexpr std::int64_t least_passes = 4;
constexpr std::int64_t most_passes = 64;
constexpr std::int64_t least_memory = 32 << 10;  // KiB
constexpr std::int64_t most_memory = 4 << 20;    // KiB, the most that LUKS2 has
constexpr std::int64_t most_lanes = 4;
constexpr std::int64_t least_iterations = 1000;
constexpr std::int64_t most_iterations = 20'000'000;
constexpr std::size_t most_tokens = 32;
constexpr std::uint64_t most_sequence = std::uint64_t{1} << 48U;  // the next change counts on from it
constexpr std::int64_t stripes = 4000;

bool one_of(std::string_view text, std::span<const std::string_view> known) {
    return std::ranges::find(known, text) != known.end();
}

/// A whole number at `key`; -1 when there is none.
std::int64_t count_in(const Json& object, std::string_view key) {
    const auto found = object.is_object() ? object.find(key) : object.end();
    if (!object.is_object() || found == object.end() || !found->is_number_integer()) return -1;
    if (found->is_number_unsigned() && found->get<std::uint64_t>() > INT64_MAX) return INT64_MAX;
    return found->get<std::int64_t>();
}

bool is_slot_number(std::string_view text) {
    if (text.empty() || text.size() > 2 || (text.size() == 2 && text[0] == '0')) return false;
    return std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; }) &&
           std::stoul(std::string(text)) < slot_limit;
}

class Judge {
 public:
    explicit Judge(const Header& header) : header_(header), metadata_(header.metadata) {}

    std::vector<std::string> run() {
        require(header_.sequence < most_sequence, "has a sequence that no number of changes leads to");
        parts();
        config();
        segment();
        keyslots();
        digest();
        tokens();
        return std::move(faults_);
    }

 private:
    void require(bool holds, std::string fault) {
        if (!holds) faults_.push_back(std::move(fault));
    }

    void parts() {
        static const std::set<std::string> known{"keyslots", "tokens", "segments", "digests", "config"};
        for (const auto& [key, value] : metadata_.items())
            require(known.contains(key) && value.is_object(), fmt::format("has an unknown part {:?}", key));
        for (const std::string& key : known) require(metadata_.contains(key), "lacks its " + key);
    }

    void config() {
        const Json& config = object_in(metadata_, "config");
        const auto json_size = number_in(config, "json_size");
        require(json_size && *json_size == header_.copy_size - binary_size, "says a wrong size of its metadata");
        areas_end_ = end_of_areas(header_);
        require(areas_end_ > 0 && areas_end_ % binary_size == 0, "has no sound size of its keyslot areas");
        const auto requirements = config.find("requirements");
        if (requirements != config.end()) {
            const Json none = Json::array();
            const Json& mandatory =
                requirements->is_object() && requirements->contains("mandatory") ? (*requirements)["mandatory"] : none;
            for (const Json& requirement : mandatory) {
                const std::string text = requirement.is_string() ? requirement.get<std::string>() : "?";
                require(false, text.find("reencrypt") != std::string::npos
                                   ? fmt::format("has a re-encryption under way ({:?})", text)
                                   : fmt::format("requires {:?}, which this program does not know", text));
            }
            require(requirements->is_object() && mandatory.is_array(), "has requirements of an unknown form");
        }
        const auto flags = config.find("flags");
        require(flags == config.end() || (flags->is_array() && flags->empty()),
                "sets flags for activation, which only the spec may");
    }

    void segment() {
        const Json& segments = object_in(metadata_, "segments");
        require(segments.size() == 1 && segments.contains("0"),
                segments.size() > 1 ? "has several data segments, as during a re-encryption" : "has no data segment");
        const Json& segment = object_in(segments, "0");
        const std::string cipher = text_in(segment, "encryption");
        require(text_in(segment, "type") == "crypt", "has a data segment that is not encrypted");
        check_cipher(cipher, "its data");
        require(!segment.contains("integrity"), "has data with integrity tags, which this program does not use");
        require(!segment.contains("flags"), "has flags on its data segment, as during a re-encryption");
        require(text_in(segment, "iv_tweak") == "0", "starts its data at another initialisation vector than 0");
        require(text_in(segment, "size") == "dynamic", "limits the size of its data");
        const std::int64_t sector = count_in(segment, "sector_size");
        require(sector == 512 || sector == 4096, fmt::format("has sectors of {} bytes", sector));
        const auto offset = number_in(segment, "offset");
        require(offset && *offset >= areas_end_ && *offset % 4096 == 0 && *offset <= 1024 * mebibyte,
                "has its data in an impossible place");
    }

    void check_cipher(const std::string& cipher, std::string_view what) {
        if (cipher.find("null") != std::string::npos)
            require(false, fmt::format("has a null cipher for {}: it would be written in clear", what));
        else
            require(one_of(cipher, ciphers), fmt::format("has the cipher {:?} for {}", cipher, what));
    }

    void keyslots() {
        const Json& slots = object_in(metadata_, "keyslots");
        // Each is compared with all before it: more than the format has are not looked at one by one.
        require(slots.size() <= slot_limit, "has too many keyslots");
        if (slots.size() > slot_limit) return;
        for (const auto& [name, slot] : slots.items()) keyslot(name, slot);
    }

    void keyslot(const std::string& name, const Json& slot) {
        const std::string which = "keyslot " + name;
        require(is_slot_number(name), fmt::format("has a keyslot called {:?}", name));
        const std::string type = text_in(slot, "type");
        if (type == "reencrypt") {
            require(false, "has a re-encryption under way (" + which + ")");
            return;
        }
        require(type == "luks2", fmt::format("has a {} of type {:?}", which, type));
        const std::int64_t key_size = count_in(slot, "key_size");
        require(key_size == 32 || key_size == 64, fmt::format("has a key of {} bytes in {}", key_size, which));
        require(key_size_ == 0 || key_size == key_size_, "has keyslots with keys of different sizes");
        key_size_ = key_size;
        const Json& spread = object_in(slot, "af");
        require(text_in(spread, "type") == "luks1" && count_in(spread, "stripes") == stripes &&
                    one_of(text_in(spread, "hash"), hashes),
                fmt::format("spreads the key of {} in an unknown way", which));
        area(which, object_in(slot, "area"), key_size);
        derivation(which, object_in(slot, "kdf"));
    }

    void area(const std::string& which, const Json& area, std::int64_t key_size) {
        require(text_in(area, "type") == "raw", fmt::format("has an area of an unknown type in {}", which));
        check_cipher(text_in(area, "encryption"), which);
        const std::int64_t area_key = count_in(area, "key_size");
        require(area_key == 32 || area_key == 64, fmt::format("encrypts {} with {} bytes of key", which, area_key));
        const auto offset = number_in(area, "offset");
        const auto size = number_in(area, "size");
        if (!offset || !size || *offset < 2 * header_.copy_size || *size > areas_end_ || *offset > areas_end_ - *size ||
            key_size < 0 || *size < static_cast<std::uint64_t>(key_size * stripes)) {
            require(false, fmt::format("has {} in an impossible place", which));
            return;
        }
        for (const auto& [from, to] : taken_)
            require(*offset >= to || *offset + *size <= from, fmt::format("has {} on top of another", which));
        taken_.emplace_back(*offset, *offset + *size);
    }

    void derivation(const std::string& which, const Json& kdf) {
        const std::string type = text_in(kdf, "type");
        if (type == "pbkdf2") {
            const std::int64_t iterations = count_in(kdf, "iterations");
            require(one_of(text_in(kdf, "hash"), hashes), fmt::format("derives the key of {} with a weak hash", which));
            require(iterations >= least_iterations && iterations <= most_iterations,
                    fmt::format("asks for {} iterations to open {}", iterations, which));
        } else if (type == "argon2id") {
            const std::int64_t passes = count_in(kdf, "time");
            const std::int64_t memory = count_in(kdf, "memory");
            const std::int64_t lanes = count_in(kdf, "cpus");
            require(passes >= least_passes && passes <= most_passes && memory >= least_memory &&
                        memory <= most_memory && lanes >= 1 && lanes <= most_lanes,
                    fmt::format("asks for {} passes over {} KiB in {} lanes to open {}", passes, memory, lanes, which));
        } else {
            require(false, fmt::format("derives the key of {} with {:?}", which, type));
        }
    }

    void digest() {
        const Json& digests = object_in(metadata_, "digests");
        require(digests.size() == 1, "has not one volume key but " + std::to_string(digests.size()));
        for (const auto& [name, digest] : digests.items()) {
            const std::int64_t iterations = count_in(digest, "iterations");
            require(text_in(digest, "type") == "pbkdf2" && one_of(text_in(digest, "hash"), hashes) &&
                        iterations >= least_iterations && iterations <= most_iterations,
                    "has a digest of its volume key of an unknown form");
            require(digest.is_object() && digest.value("segments", Json()) == Json::array({"0"}),
                    "has a volume key for something else than its data");
            std::set<std::string> named;
            for (const Json& slot : digest.is_object() ? digest.value("keyslots", Json::array()) : Json::array())
                if (slot.is_string()) named.insert(slot.get<std::string>());
            std::set<std::string> there;
            for (const auto& [slot, ignored] : object_in(metadata_, "keyslots").items()) there.insert(slot);
            require(named == there, "has keyslots for another key than its data's");
        }
    }

    void tokens() {
        const Json& tokens = object_in(metadata_, "tokens");
        require(tokens.size() <= most_tokens, "has too many tokens");
        std::set<std::string> owned;
        for (const auto& [name, token] : tokens.items()) {
            const bool formed = token.is_object() && !text_in(token, "type").empty() && token.contains("keyslots") &&
                                token["keyslots"].is_array();
            require(is_slot_number(name) && formed, fmt::format("has a token {:?} of an unknown form", name));
            if (!formed) continue;
            const bool tells_owner = text_in(token, "type") == user_token_type;
            for (const Json& slot : token["keyslots"]) {
                const bool there =
                    slot.is_string() && object_in(metadata_, "keyslots").contains(slot.get<std::string>());
                require(there, fmt::format("has a token {:?} for a keyslot that is not there", name));
                // Whoever of two is revoked would take the other's key along.
                require(!there || !tells_owner || owned.insert(slot.get<std::string>()).second,
                        fmt::format("has a token {:?} for a keyslot that is somebody's already", name));
            }
        }
    }

    const Header& header_;
    const Json& metadata_;
    std::uint64_t areas_end_ = 0;
    std::int64_t key_size_ = 0;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> taken_;
    std::vector<std::string> faults_;
};

}  // namespace

std::vector<std::string> faults_of(const Header& header) { return Judge(header).run(); }

std::string cipher_of(const Header& header) {
    return text_in(object_in(object_in(header.metadata, "segments"), "0"), "encryption");
}

std::uint64_t key_bits_of(const Header& header) {
    for (const auto& [name, slot] : object_in(header.metadata, "keyslots").items())
        if (const std::int64_t size = count_in(slot, "key_size"); size > 0) return static_cast<std::uint64_t>(size) * 8;
    return 0;
}

std::uint64_t data_offset_of(const Header& header) {
    return number_in(object_in(object_in(header.metadata, "segments"), "0"), "offset").value_or(0);
}

bool knows_cipher(std::string_view cipher, std::uint64_t key_bits) {
    return one_of(cipher, ciphers) && (key_bits == 256 || key_bits == 512);
}

}  // namespace safe::luks
