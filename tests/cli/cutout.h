// Pictures that are fitted in no time.
#pragma once

#include <string>
#include <vector>

namespace g2s::test {

// A shipped head of 64 pixels whose transparency is its mask: nothing needs to be looked for. `head` is 000, 004, 008, ...
void write_cutout(const std::string& path, const std::string& head);

// `reconstruct` with one iteration of every phase.
std::vector<std::string> shortest_fit(std::vector<std::string> pictures, const std::string& out, const std::vector<std::string>& more = {});

}  // namespace g2s::test
