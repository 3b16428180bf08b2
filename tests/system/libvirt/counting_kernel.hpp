// A guest that tells one that slept from one that booted: it counts in a register and writes each number to its serial
// line, eight letters a line (a is 0). A guest that wakes counts on; one that boots begins at 1.
#pragma once

#include <array>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

namespace safe::test {

/// Multiboot Specification 0.6.96, section 3.1: what QEMU boots without a boot loader.
inline std::string counting_kernel() {
    constexpr std::uint32_t load = 0x100000;
    constexpr std::uint32_t size = 128;
    constexpr std::uint32_t magic = 0x1BADB002;
    constexpr std::uint32_t flags = 0x10000;  // the addresses below are valid
    const std::array<std::uint32_t, 8> header{magic, flags,       0U - magic - flags, load,
                                              load,  load + size, load + size,        load + 32};
    std::string kernel;
    for (const std::uint32_t word : header)
        for (unsigned shift = 0; shift < 32; shift += 8) kernel += static_cast<char>(word >> shift & 0xFFU);
    const std::array<std::uint8_t, 40> code{
        0x31, 0xDB,                    // xor ebx, ebx
        0x43,                          // next: inc ebx
        0x89, 0xDE,                    // mov esi, ebx
        0xB9, 8,    0,    0,    0,     // mov ecx, 8
        0xC1, 0xC6, 4,                 // digit: rol esi, 4
        0x89, 0xF0,                    // mov eax, esi
        0x24, 0x0F,                    // and al, 15
        0x04, 'a',                     // add al, 'a'
        0x66, 0xBA, 0xF8, 0x03,        // mov dx, 0x3F8 (the first serial port)
        0xEE,                          // out dx, al
        0x49,                          // dec ecx
        0x75, 0xEF,                    // jnz digit
        0xB0, '\n',                    // mov al, '\n'
        0xEE,                          // out dx, al
        0xB9, 0,    0,    0x40, 0x00,  // mov ecx, 0x400000
        0x49,                          // wait: dec ecx
        0x75, 0xFD,                    // jnz wait
        0xEB, 0xDA,                    // jmp next
    };
    for (const std::uint8_t byte : code) kernel += static_cast<char>(byte);
    kernel.resize(size, '\0');
    return kernel;
}

/// The numbers that it has written so far.
inline std::vector<std::uint32_t> counted(const std::string& log) {
    std::vector<std::uint32_t> numbers;
    std::ifstream file(log);
    for (std::string line; std::getline(file, line) && !file.eof();) {
        if (line.size() < 8) continue;
        std::uint32_t number = 0;
        for (const char digit : line.substr(line.size() - 8))
            number = number * 16 + static_cast<std::uint32_t>(digit - 'a');
        numbers.push_back(number);
    }
    return numbers;
}

}  // namespace safe::test
