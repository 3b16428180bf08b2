// The address at which the NFS server serves the safe, kept from before the first export until the server is stopped:
// when the spec's address has changed meanwhile, this tells our server from a stranger's. A reboot, which ends every
// server, forgets it.
#pragma once

#include <filesystem>
#include <string>

#include "reconciler/base/result.hpp"

namespace safe::nfs {

class ServedAddress {
 public:
    explicit ServedAddress(std::filesystem::path file) : file_(std::move(file)) {}

    /// Empty when there is none.
    [[nodiscard]] base::Result<std::string> read() const;
    [[nodiscard]] base::Result<void> keep(const std::string& address) const;
    /// Nothing to do when there is none.
    [[nodiscard]] base::Result<void> forget() const;

 private:
    std::filesystem::path file_;
};

}  // namespace safe::nfs
