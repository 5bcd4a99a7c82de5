# The CUDA backend: engine/cuda/*.cu and kernels/*/*.cu. They are compiled twice, by nvcc for GPUs, and as C++ for the emulator (engine/simt),
# which every run of the tests uses. Both are object libraries that define weak symbols of the engine and of the kernels: what links one of them
# has Device cuda. G2S_CUDA says which of the two the program and the tests proper get.

set(G2S_CUDA AUTO CACHE STRING "CUDA backend: AUTO (if there is a compiler for it), ON, OFF, EMULATE (on the host, for tests)")
set_property(CACHE G2S_CUDA PROPERTY STRINGS AUTO ON OFF EMULATE)
set(G2S_CUDA_ARCHITECTURES "80-real;90-real;90-virtual" CACHE STRING "As CMake's CUDA_ARCHITECTURES; all: what the toolkit knows of 75, 80, 86, 89, 90, 100")

function(g2s_cuda_sources out)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/engine/cuda/*.cu ${CMAKE_SOURCE_DIR}/kernels/*.cu)
  set(${out} ${files} PARENT_SCOPE)
endfunction()

# Each .cu is included by a C++ file, since a source cannot have two languages.
function(g2s_emulated_sources out)
  set(wrappers)
  foreach(path ${ARGN})
    file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR} ${path})
    string(REGEX REPLACE "[/.]" "_" wrapper ${name})
    set(wrapper ${CMAKE_BINARY_DIR}/emulated/${wrapper}.cpp)
    file(CONFIGURE OUTPUT ${wrapper} CONTENT "#include \"${name}\"\n")
    list(APPEND wrappers ${wrapper})
  endforeach()
  set(${out} ${wrappers} PARENT_SCOPE)
endfunction()

function(g2s_emulated_library name)
  add_library(${name} OBJECT ${ARGN})
  target_link_libraries(${name} PUBLIC g2s_options)
  target_compile_definitions(${name} PRIVATE G2S_EMULATE)
  target_compile_options(${name} PRIVATE -fno-math-errno -Wno-unused-parameter -Wno-unknown-pragmas)
endfunction()

function(g2s_add_emulated)
  g2s_cuda_sources(files)
  g2s_emulated_sources(wrappers ${files})
  file(GLOB simt CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/engine/simt/*.cpp)
  g2s_emulated_library(g2s_cuda_emulated ${wrappers} ${simt})
  if(G2S_SANITIZE MATCHES thread)  # watches the kernels, not the emulator, which tells it what lanes are
    set_source_files_properties(${CMAKE_SOURCE_DIR}/engine/simt/simt.cpp ${CMAKE_SOURCE_DIR}/engine/simt/switch.cpp PROPERTIES
                                COMPILE_OPTIONS "-fno-sanitize=thread;-O2" COMPILE_DEFINITIONS G2S_WATCH_RACES)
  endif()
endfunction()

# tests/simt/*.test.cu: kernels that try the emulator, and their tests.
function(g2s_add_emulator_tests out)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/simt/*.test.cu)
  g2s_emulated_sources(wrappers ${files})
  g2s_emulated_library(g2s_emulator_tests ${wrappers})
  target_link_libraries(g2s_emulator_tests PRIVATE g2s_engine)
  target_include_directories(g2s_emulator_tests SYSTEM PRIVATE ${DOCTEST_INCLUDE_DIR})
  set(${out} ${files} PARENT_SCOPE)
endfunction()

function(g2s_known_architectures out)
  execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-arch OUTPUT_VARIABLE known)
  set(wanted)
  foreach(arch 75 80 86 89 90 100)
    if(known MATCHES "compute_${arch}\n")
      list(APPEND wanted ${arch}-real)
      set(last ${arch})
    endif()
  endforeach()
  set(${out} ${wanted} ${last}-virtual PARENT_SCOPE)
endfunction()

function(g2s_add_nvcc)
  if(G2S_CUDA_ARCHITECTURES STREQUAL "all")
    g2s_known_architectures(G2S_CUDA_ARCHITECTURES)
  endif()
  g2s_cuda_sources(files)
  add_library(g2s_cuda OBJECT ${files})
  set(cache)
  if(CCACHE_PROGRAM)
    set(cache ";${CCACHE_PROGRAM}")
  endif()
  target_include_directories(g2s_cuda PRIVATE ${CMAKE_SOURCE_DIR})
  set_target_properties(g2s_cuda PROPERTIES CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON CUDA_ARCHITECTURES "${G2S_CUDA_ARCHITECTURES}"
                        CUDA_RUNTIME_LIBRARY Static CUDA_COMPILER_LAUNCHER "sh;${CMAKE_SOURCE_DIR}/cmake/keep_messages.sh${cache}")
  target_compile_definitions(g2s_cuda PRIVATE $<$<BOOL:${G2S_X86}>:G2S_HAVE_X86_ISA>)
  target_compile_options(g2s_cuda PRIVATE --extended-lambda --expt-relaxed-constexpr "SHELL:-Xptxas -v" "SHELL:-Werror all-warnings" -Xcompiler=-Wall,-Wno-unused-parameter)
endfunction()

# What the compiler said is what tools/cuda_report.py reads.
function(g2s_add_cuda_report)
  find_package(Python3 COMPONENTS Interpreter)
  set(reason)
  if(NOT TARGET g2s_cuda)
    set(reason "needs nvcc")
  elseif(NOT Python3_FOUND)
    set(reason "needs Python")
  endif()
  if(reason)
    add_test(NAME cuda/report COMMAND sh ${CMAKE_SOURCE_DIR}/tests/skipped.sh cuda/report ${reason})
    set_tests_properties(cuda/report PROPERTIES SKIP_RETURN_CODE 77)
    return()
  endif()
  add_executable(g2s_cuda_occupancy ${CMAKE_SOURCE_DIR}/tools/cuda_occupancy.cpp)
  target_include_directories(g2s_cuda_occupancy SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
  set(report ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/cuda_report.py --nvcc ${CMAKE_CUDA_COMPILER_VERSION})
  add_test(NAME cuda/report COMMAND ${report} --check $<TARGET_OBJECTS:g2s_cuda> COMMAND_EXPAND_LISTS)
  set(sizes ${CMAKE_BINARY_DIR}/launches.txt)
  add_custom_target(cuda_report
    COMMAND ${CMAKE_COMMAND} -E rm -f ${sizes}
    COMMAND ${CMAKE_COMMAND} -E env G2S_TEST_DEVICE=cuda G2S_SIMT_LAUNCHES=${sizes} $<TARGET_FILE:g2s_tests_emulated> --source-file=*/kernels/* --minimal
    COMMAND ${report} --write --launches ${sizes} --program $<TARGET_FILE:g2s_tests_emulated> --occupancy $<TARGET_FILE:g2s_cuda_occupancy> $<TARGET_OBJECTS:g2s_cuda>
    DEPENDS g2s_cuda g2s_tests_emulated g2s_cuda_occupancy COMMAND_EXPAND_LISTS VERBATIM)
endfunction()

# Call before the programs are added. Sets G2S_CUDA_BACKEND to the object library that they link, or to nothing.
macro(g2s_add_cuda)
  g2s_add_emulated()
  set(G2S_CUDA_BACKEND)
  if(G2S_CUDA STREQUAL "EMULATE")
    set(G2S_CUDA_BACKEND g2s_cuda_emulated)
  elseif(NOT G2S_CUDA STREQUAL "OFF")
    include(CheckLanguage)
    check_language(CUDA)
    if(CMAKE_CUDA_COMPILER)
      enable_language(CUDA)
      if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake before 3.26 does not know that nvcc 12 has it
        set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
        set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
      endif()
      set(CMAKE_CUDA_FLAGS_RELEASE -O2)  # as for C++: checks stay on
      find_package(CUDAToolkit REQUIRED)
      g2s_add_nvcc()
      set(G2S_CUDA_BACKEND g2s_cuda)
    elseif(G2S_CUDA STREQUAL "ON")
      message(FATAL_ERROR "G2S_CUDA=ON, but there is no CUDA compiler (nvcc on PATH, or CMAKE_CUDA_COMPILER)")
    endif()
  endif()
endmacro()

# What a program needs besides to have the backend.
function(g2s_link_cuda target)
  if(G2S_CUDA_BACKEND)
    target_link_libraries(${target} PRIVATE ${G2S_CUDA_BACKEND})
    if(G2S_CUDA_BACKEND STREQUAL "g2s_cuda")
      target_link_libraries(${target} PRIVATE CUDA::cudart_static)
    endif()
  endif()
endfunction()
