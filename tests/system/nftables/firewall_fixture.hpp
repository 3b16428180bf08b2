// The driver of a sample safe on the kernel, in a network namespace of the test's own; and nft's own language, as a
// person at the console would use it.
#pragma once

#include <gtest/gtest.h>
#include <nftables/libnftables.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>

#include "plugins/nftables/kernel_features.hpp"
#include "plugins/nftables/nftables_driver.hpp"
#include "plugins/nftables/rule_text.hpp"
#include "plugins/nftables/ruleset.hpp"
#include "reconciler/base/unique_handle.hpp"
#include "tests/support/nftables/network_namespace.hpp"
#include "tests/support/nftables/sample_spec.hpp"

/// Skips, or fails where the machine is supposed to have it.
#define NEEDS_BRIDGE_TRACKING()                                                      \
    if (const std::string lack = what_lacks(); !lack.empty()) {                      \
        if (std::getenv("SAFE_REQUIRE_BRIDGE_CONNTRACK") != nullptr) FAIL() << lack; \
        GTEST_SKIP() << lack;                                                        \
    }                                                                                \
    static_assert(true)

namespace safe::test {

class FirewallOnKernel : public testing::Test {
 protected:
    void SetUp() override {
        if (const std::string why = enter_own_network(); !why.empty()) GTEST_SKIP() << why;
        driver = nftables::make_driver({"atlas", nftables::networks_of(spec)});
    }

    static std::string what_lacks() {
        const auto missing = nftables::missing_features(*nftables::make_kernel_api());
        if (!missing) return to_text(missing.error());
        std::string text;
        for (const model::Refusal& one : *missing) text += to_text(one.error) + "\n";
        return text;
    }
    static bool tracking_works() { return what_lacks().empty(); }

    /// What nft prints for a command line; "-a " in front lists handles too.
    static std::string nft(const std::string& line) {
        const base::UniqueHandle<nft_ctx, nft_ctx_free> context(nft_ctx_new(NFT_CTX_DEFAULT));
        nft_ctx_buffer_output(context.get());
        nft_ctx_buffer_error(context.get());
        const bool handles = line.starts_with("-a ");
        if (handles) nft_ctx_output_set_flags(context.get(), NFT_CTX_OUTPUT_HANDLE);
        if (nft_run_cmd_from_buffer(context.get(), line.substr(handles ? 3 : 0).c_str()) != 0)
            throw std::runtime_error(line + ": " + nft_ctx_get_error_buffer(context.get()));
        return nft_ctx_get_output_buffer(context.get());
    }

    model::Snapshot look() { return driver->observe({{base_id, storage_id, open_id, locked_id}}, {}); }

    model::Resource wanted(model::Mode mode, const model::ResourceId& id) {
        const driver::Desire desire = driver->desire(spec, mode);
        const auto found = std::ranges::find(desire.resources, id, &model::Resource::id);
        if (found == desire.resources.end()) throw std::runtime_error("not declared: " + to_text(id));
        return *found;
    }

    /// What the executor does in a world without other drivers: what is not wanted goes first, what is comes in order.
    void converge(model::Mode mode) {
        const driver::Desire desire = driver->desire(spec, mode);
        const model::Snapshot before = look();
        for (const model::Presence turn : {model::Presence::absent, model::Presence::present})
            for (const model::Resource& resource : desire.resources)
                if (resource.presence == turn) bring_about(resource, before.observations.at(resource.id));
        const model::Snapshot after = look();
        for (const model::Resource& resource : desire.resources)
            EXPECT_TRUE(is_as_wanted(resource, after.observations.at(resource.id))) << to_text(resource.id);
    }

    void bring_about(const model::Resource& resource, const model::Observation& seen) {
        if (is_as_wanted(resource, seen)) return;
        model::Step step;
        step.resource = resource.id;
        if (resource.presence == model::Presence::absent)
            step.action = model::Action::remove;
        else if (std::holds_alternative<model::Present>(seen))
            step.action = model::Action::change;
        const auto done = driver->apply(step, resource, seen, {});
        if (!done) throw std::runtime_error(to_text(done.error()));
    }

    static bool is_as_wanted(const model::Resource& resource, const model::Observation& seen) {
        if (resource.presence == model::Presence::absent) return std::holds_alternative<model::Absent>(seen);
        const auto* present = std::get_if<model::Present>(&seen);
        return present != nullptr && present->attributes == resource.attributes;
    }

    static nftables::ListedRule rule(std::string_view chain, std::string_view name) {
        const auto table = nftables::parse_table(nftables::make_kernel_api()->list("safe-atlas")->value()).value();
        for (const nftables::ListedRule& listed : table.chain(chain)->rules)
            if (listed.rule.name == name) return listed;
        throw std::runtime_error("no rule " + std::string(name));
    }

    const model::ResourceId base_id = model::make_id(model::Kind::ruleset, "base");
    const model::ResourceId storage_id = model::make_id(model::Kind::ruleset, "storage");
    const model::ResourceId open_id = model::make_id(model::Kind::ruleset, "open");
    const model::ResourceId locked_id = model::make_id(model::Kind::ruleset, "locked");
    specs::SafeSpec spec = sample_spec();
    std::unique_ptr<driver::Driver> driver;
};

}  // namespace safe::test
