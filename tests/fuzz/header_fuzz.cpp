// Any bytes, as the beginning of a device, and as metadata under checksums that are right: never a crash, and what the
// policy lets through is what the rest of the plugin relies on.
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include "plugins/luks/header_policy.hpp"
#include "plugins/luks/header_store.hpp"
#include "plugins/luks/revocation.hpp"
#include "tests/support/luks/sample_header.hpp"

namespace {

using namespace safe::luks;  // NOLINT(google-build-using-namespace): a program of one file

void require(bool holds, std::string_view what) {
    if (holds) return;
    std::cerr << "broken: " << what << "\n";
    std::abort();
}

Copies copies_in(const std::string& image) {
    return read_copies([&](std::uint64_t offset, std::uint64_t size) {
               return safe::base::Result<std::string>(offset < image.size() ? image.substr(offset, size)
                                                                            : std::string());
           })
        .value();
}

void check(const Header& header) {
    const bool sound = faults_of(header).empty();
    const Record record = record_of(header, std::nullopt);
    require(differences(header, record).empty(), "a header equals its own record");
    static_cast<void>(vault_token(header));
    static_cast<void>(loss(header, record, {0}, {}));
    require(room_in(header) >= 0 && room_in(header) <= static_cast<int>(slot_limit), "room is a number of slots");
    if (!sound) return;
    require(cipher_of(header).find("null") == std::string::npos, "no null cipher");
    require(key_bits_of(header) == 0 || knows_cipher(cipher_of(header), key_bits_of(header)), "a cipher that is known");
    const std::uint64_t end = end_of_areas(header);
    require(end > 2 * header.copy_size && end <= 200 * mebibyte, "areas end where they can");
    require(data_offset_of(header) >= end, "data lies behind the areas");
    for (const auto& [name, slot] : object_in(header.metadata, "keyslots").items()) {
        const auto offset = number_in(object_in(slot, "area"), "offset");
        const auto size = number_in(object_in(slot, "area"), "size");
        require(offset && size && *offset + *size <= end, "every area lies inside");
        require(offset && size && *offset + *size <= end_of_keyslots(header), "and before the end of those in use");
    }
    const auto rendered = render_both(header);
    if (!rendered) return;  // a number can be longer in our spelling than in theirs; then it is an error, said and done
    const Copies again = copies_in(*rendered);
    require(again.sound() && again.header->metadata == header.metadata, "and read again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string text(data + 1, data + size);
    // The first byte says which: raw bytes, or metadata whose forger knows how to make a checksum.
    const std::string image = data[0] == 'b' ? text : safe::test::with_metadata(safe::test::sample_header(), text);
    const Copies copies = copies_in(image);
    if (copies.header) check(*copies.header);
    return 0;
}
