// SPDX-License-Identifier: Apache-2.0
// The tables of the dev questions; schema.hpp defines the format of a line.
#pragma once
#include <string_view>

namespace sql {

/// Tables for the loss during training; neither of the other two files has any of their words.
inline constexpr std::string_view dev_domains = R"(
quarry/quarries | nickname | mineral: slate, marble, gypsum | province: Utah, Idaho, Kansas
  | workforce: +40..900 | blast_frequency: 1..20;
telescope/telescopes | nickname | mirror: glass, metal, liquid | observatory: Arcadia, Zenith, Boreal
  | aperture: 10..900 | magnification: 20..400 | acquisition: year 1960..2022;
lighthouse/lighthouses | nickname | lantern: gas, electric, laser | coastline: rocky, sandy, marshy
  | visibility: 5..60 | staircase: 40..300 | completion: year 1790..1960;
elevator/elevators | serial | maker: Boreal, Zenith, Titan | condition: good, worn, broken
  | lift_limit: 200..900 | inspection: date 2020..2024;
blanket/blankets | serial | textile: wool, cotton, fleece | seam: plain, cross, double
  | thickness: 1..9 | washing_heat: 30..90 | markup: +2..40;
greenhouse/greenhouses | nickname | seedling: tomato, pepper, basil | covering: glass, foil, mesh
  | moisture: 20..95 | lighting_period: 4..18 | profit: +5..300;
parcel/parcels | serial | courier: bike, van, drone | urgency: normal, express, overnight
  | postage: +2..60 | volume: +1..90 | dispatch: date 2021..2024;
orchestra/orchestras | nickname | conductor: guest, chief, deputy | repertoire: baroque, modern, romantic
  | roster: +12..120 | grant: +10..500;
glacier/glaciers | nickname | territory: Alaska, Iceland, Patagonia | stability: stable, shrinking, growing
  | thickness: 20..900 | retreat: 1..90 | survey: year 1950..2023;
ferry/ferries | serial | docking: left, right, both | propulsion: steam, diesel, electric
  | tonnage: +50..900 | crossing: +2..40 | tariff: 3..60;
lawsuit/lawsuits | serial | court: civil, labor, federal | verdict: guilty, settled, dismissed
  | backlog: +1..20 | compensation: +5..900 | filing: date 2018..2024;
antique/antiques | serial | era: baroque, Gothic, modern | condition: good, worn, broken
  | appraisal: +20..900 | markup: 2..60 | acquisition: year 1980..2024;
)";

}  // namespace sql
