select champion_as_of('infinity') as version
