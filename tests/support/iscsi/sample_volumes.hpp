// A spec with nothing but volumes on iSCSI: a vault on LUN 1 and data on LUN 2 of one target.
#pragma once

#include <string>
#include <utility>

#include "plugins/iscsi/iscsi_api.hpp"
#include "specs/spec.hpp"

namespace safe::iscsi::test {

inline const Endpoint sample_endpoint{"192.0.2.10:3260", "iqn.2026-01.org.example:atlas"};

inline specs::Portal portal_of(const std::string& text) {
    const auto colon = text.rfind(':');
    return {specs::parse_ipv4(text.substr(0, colon)).value(),
            static_cast<std::uint16_t>(std::stoi(text.substr(colon + 1)))};
}

inline specs::VolumeSpec volume_on(std::string name, const Address& address, specs::VolumeRole role) {
    specs::VolumeSpec volume;
    volume.name = std::move(name);
    volume.at = {"atlas.yaml", 7, 3};
    volume.role = {role};
    volume.access = {specs::Access::read_write};
    specs::IscsiSpec iscsi;
    iscsi.portal = {portal_of(address.endpoint.portal)};
    iscsi.target = {address.endpoint.target};
    iscsi.lun = {address.lun};
    volume.iscsi = iscsi;
    return volume;
}

inline void with_chap(specs::VolumeSpec& volume, const std::string& user, const std::string& file) {
    specs::ChapSpec chap;
    chap.user = {user};
    chap.secret = {{specs::SecretRef::Kind::file, file}};
    volume.iscsi->chap = chap;
}

inline specs::SafeSpec sample_spec(const Endpoint& endpoint) {
    specs::SafeSpec spec;
    spec.safe = {"atlas"};
    spec.deadlines.storage = {specs::Duration{30}};
    spec.volumes = {volume_on("vault", {endpoint, 1}, specs::VolumeRole::vault),
                    volume_on("data", {endpoint, 2}, specs::VolumeRole::data)};
    return spec;
}

}  // namespace safe::iscsi::test
