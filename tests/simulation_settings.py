"""Settings of a small but complete simulation, shared by the tests: the words of config.yaml, as plain dictionaries."""

GENERATOR = {
    "process": "gun",
    "mass": (85.0, 500.0),
    "pt": (400.0, 1000.0),
    "eta_max": 2.0,
    "collision_energy": 13000.0,
    "initial_state_radiation": False,
    "multiparton_interactions": False,
    "pt_bias": 5,
    "pythia": (),
}
PILEUP = {"mean": 0.0, "vertex_sigma_z": 4.0}
DETECTOR = {
    "magnetic_field": 3.8,
    "track_pt_min": 0.4,
    "track_eta_max": 2.5,
    "track_efficiency": 0.95,
    "track_pt_constant": 0.007,
    "track_pt_slope": 1.5e-4,
    "ecal_stochastic": 0.028,
    "ecal_constant": 0.004,
    "ecal_noise": 0.04,
    "ecal_zero_suppression": 0.12,
    "hcal_stochastic": 1.0,
    "hcal_constant": 0.07,
    "hcal_noise": 0.2,
    "hcal_zero_suppression": 0.7,
    "pixel_efficiency": 0.985,
    "pixel_year": 2017,
    "track_density_loss": 0.0,
    "track_d0_constant": 0.0015,
    "track_d0_root": 0.0,
    "track_d0_slope": 0.0085,
    "track_dz_constant": 0.0035,
    "track_dz_root": 0.0,
    "track_dz_slope": 0.01,
    "track_dz_eta_power": 2.0,
    "ecal_eta_slope": 0.0,
    "track_scale": 1.0,
    "ecal_scale": 1.0,
    "hcal_scale": 1.0,
    "resolution_scale": 1.0,
    "dead_pixel_layer": 0,
}
SELECTION = {"jet_radius": 0.8, "pt_min": 400.0, "eta_max": 2.0, "top_match_dr": 0.8, "softdrop_zcut": 0.1}
SETTINGS = {
    "generator": GENERATOR,
    "pileup": PILEUP,
    "detector": DETECTOR,
    "randomize": {},
    "selection": SELECTION,
}
