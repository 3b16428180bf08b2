// libvirt as a test says.
#pragma once

#include <gmock/gmock.h>

#include "plugins/libvirt/libvirt_api.hpp"

namespace safe::libvirt {

class MockApi : public Api {
 public:
    using Done = base::Result<void>;
    using Text = const std::string&;
    using Domains = base::Result<std::vector<Domain>>;
    using OneDomain = base::Result<std::optional<Domain>>;

    MOCK_METHOD(base::Result<Host>, host, (), (override));
    MOCK_METHOD(Domains, domains, (View, Which), (override));
    MOCK_METHOD(OneDomain, domain_named, (Text, View), (override));
    MOCK_METHOD(OneDomain, domain_with, (Text, View), (override));
    MOCK_METHOD(Done, define_domain, (Text), (override));
    MOCK_METHOD(Done, set_autostart, (Text, bool), (override));
    MOCK_METHOD(Done, set_metadata, (Text, const Metadata&, Affect), (override));
    MOCK_METHOD(Done, start, (Text), (override));
    MOCK_METHOD(Done, press_power_button, (Text), (override));
    MOCK_METHOD(Done, cut_power, (Text), (override));
    MOCK_METHOD(Done, pause, (Text), (override));
    MOCK_METHOD(Done, resume, (Text), (override));
    MOCK_METHOD(Done, save, (Text, Text), (override));
    MOCK_METHOD(Done, abort_job, (Text), (override));
    MOCK_METHOD(Done, restore, (Text), (override));
    MOCK_METHOD(base::Result<std::string>, saved_definition, (Text), (override));
    MOCK_METHOD(Done, set_memory, (Text, std::uint64_t), (override));
    MOCK_METHOD(Done, set_cpus, (Text, unsigned), (override));
    MOCK_METHOD(Done, resize_disk, (Text, Text, std::uint64_t), (override));
    MOCK_METHOD(base::Result<std::vector<Network>>, networks, (), (override));
    MOCK_METHOD(Done, define_network, (Text), (override));
    MOCK_METHOD(Done, start_network, (Text), (override));
    MOCK_METHOD(Done, stop_network, (Text), (override));
    MOCK_METHOD(Done, set_network_autostart, (Text, bool), (override));
    MOCK_METHOD(Done, edit_reservation, (Text, Edit, Text), (override));
};

}  // namespace safe::libvirt
