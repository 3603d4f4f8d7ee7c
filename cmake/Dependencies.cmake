# Third-party libraries, with the versions that the project accepts and Debian's packages of them. The build reads this
# file, and so do scripts/setup and the installed package, which needs no more than what its headers include.

# detent_dependency(<name> <version> <packages> [<argument of find_package>...]): finds it, or notes that it is missing,
# so that all that is missing is named at once.
set(detent_missing "")
macro(detent_dependency name version packages)
  find_package(${name} ${version} QUIET ${ARGN})
  if(NOT ${name}_FOUND)
    if(${name}_VERSION)
      list(APPEND detent_missing "${name} ${version} (${packages}; this is ${${name}_VERSION})")
    else()
      list(APPEND detent_missing "${name} ${version} (${packages})")
    endif()
  endif()
endmacro()

# What public headers include.
detent_dependency(Eigen3 3.4 "libeigen3-dev" NO_MODULE)
detent_dependency(nlohmann_json 3.10 "nlohmann-json3-dev")

if(NOT "${CMAKE_FIND_PACKAGE_NAME}" STREQUAL "detent")
  detent_dependency(TBB 2021.5 "libtbb-dev")
  detent_dependency(OneDNN 2.6...<4 "libdnnl-dev")
  detent_dependency(OpenMP 4.5 "g++" COMPONENTS CXX)
  detent_dependency(tomlplusplus 3.0 "libtomlplusplus-dev")
  detent_dependency(fmt 8 "libfmt-dev")
  detent_dependency(ZLIB 1.2 "zlib1g-dev")
  detent_dependency(PNG 1.6 "libpng-dev")
  detent_dependency(JPEG 2.1 "libjpeg-dev")  # CMake knows the version of its interface, 62 or more; Debian its own
  detent_dependency(CURL 7.80 "libcurl4-openssl-dev")
  enable_language(C)  # CMake finds HDF5 by compiling C
  detent_dependency(HDF5 1.10 "libhdf5-dev" COMPONENTS C)
  if(NOT TARGET hdf5::hdf5)
    add_library(hdf5::hdf5 INTERFACE IMPORTED)
    target_include_directories(hdf5::hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
    target_link_libraries(hdf5::hdf5 INTERFACE ${HDF5_C_LIBRARIES})
  endif()
  detent_dependency(cxxopts 3.0 "libcxxopts-dev")
  if(cxxopts_FOUND)  # the regular expressions of GCC's library crash on an argument of 100,000 letters
    target_compile_definitions(cxxopts::cxxopts INTERFACE CXXOPTS_NO_REGEX)
  endif()
  detent_dependency(ONNX 1.12 "libonnx-dev libprotobuf-dev")
  if(DETENT_BUILD_TESTS)
    detent_dependency(GTest 1.11 "libgtest-dev libgmock-dev")
  endif()
  if(DETENT_BUILD_BENCH)
    detent_dependency(benchmark 1.6 "libbenchmark-dev")
  endif()
  if(detent_missing)
    list(JOIN detent_missing ", " detent_missing)
    message(FATAL_ERROR "Not found: ${detent_missing}. On Debian and Ubuntu scripts/setup installs what is missing.")
  endif()
endif()
