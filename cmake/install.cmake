# SPDX-License-Identifier: Apache-2.0
# Install rules, and the package that find_package(iapt) reads.
include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/iapt")

install(TARGETS iapt_core iapt_iapt EXPORT iapt_targets)
install(EXPORT iapt_targets NAMESPACE iapt:: DESTINATION "${package_dir}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/iapt" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.hpp" PATTERN "*.cuh")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")

configure_package_config_file(cmake/iapt-config.cmake.in "${PROJECT_BINARY_DIR}/iapt-config.cmake"
                              INSTALL_DESTINATION "${package_dir}" NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/iapt-config-version.cmake" COMPATIBILITY SameMinorVersion
                                 ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/iapt-config.cmake" "${PROJECT_BINARY_DIR}/iapt-config-version.cmake"
              cmake/iapt_dependencies.cmake cmake/cuda.cmake DESTINATION "${package_dir}")
