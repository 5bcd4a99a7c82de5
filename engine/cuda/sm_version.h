// Which CUDA device this thread's context works on.
#pragma once

namespace g2s::cuda {

__attribute__((weak)) int sm_version();  // 75 for sm_75

}  // namespace g2s::cuda
