# `cmake --install <build>`: one shared library of all folders, their headers, the program, the recipes, and the CMake
# package by which other projects say find_package(detent) and link detent::detent. tests/consumer is such a project.
include(CMakePackageConfigHelpers)

# It knows what it is linked with, so that its users need no library but it, and no headers but those that its own
# include. The program and the tests take the same objects from the folders' static libraries.
get_property(folders GLOBAL PROPERTY DETENT_FOLDERS)
add_library(detent_shared SHARED)
add_library(detent::detent ALIAS detent_shared)
foreach(folder IN LISTS folders)
  target_sources(detent_shared PRIVATE $<TARGET_OBJECTS:detent_${folder}>)
  target_link_libraries(detent_shared PRIVATE $<BUILD_INTERFACE:detent_${folder}>)
endforeach()
target_link_libraries(detent_shared PUBLIC Eigen3::Eigen nlohmann_json::nlohmann_json)
target_include_directories(detent_shared INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(detent_shared PUBLIC cxx_std_20)
set_target_properties(detent_shared PROPERTIES
                      OUTPUT_NAME detent EXPORT_NAME detent VERSION ${PROJECT_VERSION}
                      SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR} LINKER_LANGUAGE CXX
                      INSTALL_RPATH_USE_LINK_PATH ON)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/detent)
install(TARGETS detent_shared EXPORT detentTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT detentTargets NAMESPACE detent:: DESTINATION ${package_dir})
foreach(folder IN LISTS folders)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/detent/${folder}
          FILES_MATCHING PATTERN "*.h")
endforeach()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/recipes/ DESTINATION ${CMAKE_INSTALL_DATADIR}/detent/recipes
        FILES_MATCHING PATTERN "*.toml")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

write_basic_package_version_file(detentConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES cmake/detentConfig.cmake cmake/Dependencies.cmake ${PROJECT_BINARY_DIR}/detentConfigVersion.cmake
        DESTINATION ${package_dir})
