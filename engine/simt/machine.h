// The machine that the emulator pretends to be: G2S_SIMT_MACHINE=NAME=VALUE,... changes it, so that tests see what a program says to devices
// that lack something.
#pragma once

#include <cstddef>
#include <string>

namespace g2s::simt {

struct Machine {
  int driver = 13000;        // the CUDA version that it knows; 0: there is none
  int devices = 1;
  int capability = 90;       // 10 * major + minor
  std::size_t memory = 0;    // bytes of each device; 0: as many as the host has
  bool kernels = true;       // whether the program's kernels run there
  std::string failing;       // launches of this name end in an error that later calls report
};

// Throws naming the variable if it has a name that is none of the above.
const Machine& machine();

// Whether this launch is to fail: then it does nothing, nor does any after it, and calls that can report an error report it, as on a device.
bool fails(const char* launch);
bool has_failed();
// CUDA_LAUNCH_BLOCKING=1, as for CUDA: a launch reports what its kernel does.
bool launches_block();

}  // namespace g2s::simt
