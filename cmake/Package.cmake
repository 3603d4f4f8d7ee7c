# `cmake --install <build>`: two shared libraries, the headers of all folders, the program, the recipes, and the CMake
# package by which other projects say find_package(detent). They link detent::detent, which has everything, or
# detent::runtime, which has what it takes to run models: no tape, optimizer or recipe. tests/consumer and
# tests/runtime_consumer are such projects.
include(CMakePackageConfigHelpers)

set(runtime_folders core io kernels runtime)
get_property(folders GLOBAL PROPERTY DETENT_FOLDERS)
set(other_folders ${folders})
list(REMOVE_ITEM other_folders ${runtime_folders})

# detent_shared_library(<target> <name> <folder>...): knows what it is linked with, so that its users need no library but
# it, and no headers but those that its own include. The program and the tests take the same objects from the folders'
# static libraries.
function(detent_shared_library target name)
  add_library(${target} SHARED)
  foreach(folder IN LISTS ARGN)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:detent_${folder}>)
    get_target_property(libraries detent_${folder} LINK_LIBRARIES)
    list(FILTER libraries EXCLUDE REGEX "^detent")
    target_link_libraries(${target} PRIVATE ${libraries})
  endforeach()
  target_link_libraries(${target} PRIVATE detent_options PUBLIC Eigen3::Eigen nlohmann_json::nlohmann_json)
  target_include_directories(${target} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES
                        OUTPUT_NAME ${name} VERSION ${PROJECT_VERSION}
                        SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR} LINKER_LANGUAGE CXX
                        INSTALL_RPATH $ORIGIN INSTALL_RPATH_USE_LINK_PATH ON)
endfunction()
detent_shared_library(detent_runtime_shared detent_runtime ${runtime_folders})
detent_shared_library(detent_shared detent ${other_folders})
target_link_libraries(detent_shared PUBLIC detent_runtime_shared)
set_target_properties(detent_runtime_shared PROPERTIES EXPORT_NAME runtime)
set_target_properties(detent_shared PROPERTIES EXPORT_NAME detent)
add_library(detent::detent ALIAS detent_shared)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/detent)
install(TARGETS detent_shared detent_runtime_shared EXPORT detentTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT detentTargets NAMESPACE detent:: DESTINATION ${package_dir})
foreach(folder IN LISTS folders)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/detent/${folder}
          FILES_MATCHING PATTERN "*.h")
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/detent.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/detent)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/recipes/ DESTINATION ${CMAKE_INSTALL_DATADIR}/detent/recipes
        FILES_MATCHING PATTERN "*.toml")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

write_basic_package_version_file(detentConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES cmake/detentConfig.cmake cmake/Dependencies.cmake ${PROJECT_BINARY_DIR}/detentConfigVersion.cmake
        DESTINATION ${package_dir})
